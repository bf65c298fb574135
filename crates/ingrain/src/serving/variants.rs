//! Models by name and strength.

use std::sync::Arc;

use ingrain_lm::{Adapter, Variant};

/// Strengths that are kept ready. Rows share keys, values and passes only under one and the same variant.
const KEPT: usize = 16;

pub(super) struct Variants {
    plain: (String, Arc<Variant>),
    adapters: Vec<(String, Adapter)>,
    /// Adapter, strength, and the two together; used last at the end.
    ready: Vec<(usize, f64, Arc<Variant>)>,
}

impl Variants {
    pub(super) fn new(name: String, adapters: Vec<(String, Adapter)>) -> Self {
        Self { plain: (name, Variant::new(None)), adapters, ready: Vec::new() }
    }

    /// The model of that name at that strength, if there is one.
    pub(super) fn get(&mut self, name: &str, strength: f64) -> Option<Arc<Variant>> {
        if name == self.plain.0 {
            return Some(self.plain.1.clone());
        }
        let index = self.adapters.iter().position(|(own, _)| own == name)?;
        if strength == 0.0 {
            return Some(self.plain.1.clone());
        }
        let found = self.ready.iter().position(|(of, at, _)| *of == index && *at == strength);
        let entry = match found {
            Some(at) => self.ready.remove(at),
            None => {
                let adapter = self.adapters[index].1.scaled(strength);
                (index, strength, Variant::new(Some(adapter)))
            }
        };
        let variant = entry.2.clone();
        self.ready.push(entry);
        if self.ready.len() > KEPT {
            self.ready.remove(0);
        }
        Some(variant)
    }
}
