//! Who watches a run.

use std::path::Path;
use std::sync::Once;

use ingrain::run::{Event, Observer, TensorBoard};

use super::Terminal;

/// Shows events on the terminal, and in TensorBoard where it was asked for.
pub(crate) struct Watch {
    terminal: Terminal,
    board: Option<TensorBoard>,
    told: Once,
}

impl Watch {
    /// `tensorboard` is the folder for event files.
    pub(crate) fn new(tensorboard: Option<&Path>) -> anyhow::Result<Self> {
        let board = tensorboard.map(TensorBoard::create).transpose()?;
        Ok(Self { terminal: Terminal::new(), board, told: Once::new() })
    }
}

impl Observer for Watch {
    fn on_event(&self, event: &Event) {
        self.terminal.on_event(event);
        let Some(board) = &self.board else { return };
        board.on_event(event);
        if let Some(message) = board.failure() {
            let stage = "tensorboard".to_owned();
            self.told.call_once(|| self.terminal.on_event(&Event::Note { stage, message }));
        }
    }
}
