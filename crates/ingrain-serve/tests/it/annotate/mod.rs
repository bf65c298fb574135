//! Blind annotation: what raters see, what is kept, and the page over real HTTP.

mod http;
mod sheet;

use ingrain_judge::{Case, Task};

/// Cases whose key, as in a coherence suite, names the method that wrote the second reply.
pub(crate) fn cases(count: usize) -> Vec<Case> {
    let case = |i: usize| {
        let task = Task::Compare { first: format!("own {i}"), second: format!("other {i}") };
        Case { key: format!("secret method/{i}"), message: format!("message {i}"), task }
    };
    (0..count).map(case).collect()
}
