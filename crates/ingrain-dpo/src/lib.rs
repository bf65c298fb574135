//! Preference losses and the distillation trainer
