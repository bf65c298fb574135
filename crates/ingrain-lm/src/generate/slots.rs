//! Slots of the cache, and what they hold that a new prompt begins with.

use std::sync::Arc;

use crate::layers::KvCache;
use crate::{CausalLm, Variant};

/// Shorter common beginnings are read again: a pass of their own costs more.
pub(super) const WORTH_SHARING: usize = 16;

/// The slots of one cache.
#[derive(Debug)]
pub(super) struct Slots {
    pub(super) cache: KvCache,
    slots: Vec<Slot>,
    /// Counts assignments, to tell the slot that has not been used for longest.
    clock: u64,
}

/// What one slot holds; kept after its row has left, for the next prompt that begins alike.
#[derive(Debug, Default)]
struct Slot {
    tokens: Vec<u32>,
    /// Keys and values of other weights are other keys and values.
    variant: Option<Arc<Variant>>,
    busy: bool,
    used: u64,
}

impl Slots {
    pub(super) fn new(model: &CausalLm, count: usize, columns: usize) -> Self {
        let cache = KvCache::new(model.config(), count, columns, model.device());
        Self { cache, slots: (0..count).map(|_| Slot::default()).collect(), clock: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn has_free(&self) -> bool {
        self.slots.iter().any(|slot| !slot.busy)
    }

    /// The slot with the longest beginning of `ids` and its length, the last token excepted: something
    /// must be read to be continued.
    pub(super) fn longest_beginning(
        &self,
        ids: &[u32],
        variant: &Arc<Variant>,
    ) -> Option<(usize, usize)> {
        let of = |slot: &Slot| match &slot.variant {
            Some(held) if Arc::ptr_eq(held, variant) => common(&slot.tokens, &ids[..ids.len() - 1]),
            _ => 0,
        };
        // Of equals a free one, which needs no copy.
        let best =
            (0..self.slots.len()).max_by_key(|&at| (of(&self.slots[at]), !self.slots[at].busy))?;
        let shared = of(&self.slots[best]);
        (shared >= WORTH_SHARING).then_some((best, shared))
    }

    /// Takes a free slot that holds as much of the beginning of `ids` as any does.
    ///
    /// `None` if none is free.
    pub(super) fn assign(&mut self, ids: &[u32], variant: &Arc<Variant>) -> Option<usize> {
        let longest_idle = (0..self.slots.len())
            .filter(|&at| !self.slots[at].busy)
            .min_by_key(|&at| (self.slots[at].used, at))?;
        let (slot, shared) = match self.longest_beginning(ids, variant) {
            None => (longest_idle, 0),
            Some((donor, shared)) if !self.slots[donor].busy => (donor, shared),
            Some((donor, shared)) => {
                self.cache.share(donor, longest_idle, shared);
                (longest_idle, shared)
            }
        };
        self.cache.truncate(slot, shared);
        self.clock += 1;
        self.slots[slot] = Slot {
            tokens: ids[..shared].to_vec(),
            variant: Some(variant.clone()),
            busy: true,
            used: self.clock,
        };
        Some(slot)
    }

    /// How much of a row's tokens its slot holds.
    pub(super) fn held(&self, slot: usize) -> usize {
        self.slots[slot].tokens.len()
    }

    /// Notes that a slot has read `tokens`.
    pub(super) fn extend(&mut self, slot: usize, tokens: &[u32]) {
        self.slots[slot].tokens.extend_from_slice(tokens);
        debug_assert_eq!(self.cache.len(slot), self.slots[slot].tokens.len());
    }

    pub(super) fn release(&mut self, slot: usize) {
        self.slots[slot].busy = false;
    }
}

/// How many tokens two sequences have in common from the start.
pub(super) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
