//! What examples that train one stage alone share.

use std::path::{Path, PathBuf};

use ingrain::Recipe;
use ingrain::lm::{FullWeights, LocalModel};
use ingrain::train::{TrainConfig, Trained};

use super::Watch;

/// Which numbers, what trains, and where it goes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// Whose settings of the stage, of `lora` and `merge`: quick, paper, or a YAML file
    #[arg(long, default_value = "quick")]
    recipe: String,
    /// Passes over the data [default: the recipe's]
    #[arg(long)]
    epochs: Option<u64>,
    /// Highest learning rate [default: the recipe's, which is an adapter's]
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Train every weight in place of an adapter, and write a model folder; name a learning rate, about a tenth
    /// of an adapter's
    #[arg(long, requires = "learning_rate")]
    pub(crate) full: bool,
    /// Where checkpoints, train.jsonl and what was trained go [default: one below runs/]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Folder for TensorBoard event files (`wandb sync` reads them too)
    #[arg(long)]
    tensorboard: Option<PathBuf>,
}

impl TrainArgs {
    pub(crate) fn recipe(&self) -> anyhow::Result<Recipe> {
        Ok(Recipe::named_or_file(&self.recipe)?)
    }

    /// Puts what was said here in place of the recipe's numbers.
    pub(crate) fn adjust(&self, training: &mut TrainConfig) {
        training.epochs = self.epochs.unwrap_or(training.epochs);
        training.learning_rate = self.learning_rate.unwrap_or(training.learning_rate);
    }

    /// The directory: as given, or `runs/<name>`.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| Path::new("runs").join(name))
    }

    pub(crate) fn watch(&self) -> anyhow::Result<Watch> {
        Watch::new(self.tensorboard.as_deref())
    }
}

/// Writes weights that trained as a model folder, unless a finished run finds it there.
pub(crate) fn write_model(
    trained: &Trained<FullWeights>,
    model: &LocalModel,
    dir: &Path,
) -> anyhow::Result<()> {
    let nothing_was_left_to_do = trained.last.is_empty();
    if nothing_was_left_to_do && dir.join("config.json").is_file() {
        return Ok(());
    }
    Ok(trained.parameters.export(model, dir)?)
}
