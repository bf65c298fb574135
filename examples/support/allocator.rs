//! What freed memory becomes.

use libmimalloc_sys::{mi_option_set, mi_option_t};

/// `mi_option_purge_delay` of `mimalloc.h`, which the bindings do not name.
const PURGE_DELAY: mi_option_t = 15;

/// Lets mimalloc keep freed pages for a minute before the kernel has them back (its own choice is ten
/// milliseconds): a training step writes to the pages of the step before, and memory that nobody asks for
/// again is returned all the same. Call it before anything is computed. (Figures: docs/LOG.md, "Freed
/// memory and the kernel".)
pub(crate) fn keep_freed_pages() {
    #[expect(unsafe_code, reason = "mimalloc's options have no safe interface")]
    // SAFETY: the option exists in the versions 2 and 3 that the bindings build; setting it races with
    // nothing but allocations of other threads, which read a single number.
    unsafe {
        mi_option_set(PURGE_DELAY, 60_000);
    }
}
