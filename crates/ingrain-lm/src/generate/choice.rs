//! Picking among given continuations.

use burn::tensor::{Int, Tensor, TensorData};

use super::slots::{WORTH_SHARING, common};
use crate::layers::KvCache;
use crate::{CausalLm, LmError, Overlay};

/// Columns that the cache begins with; it grows with the prompts.
const FIRST_COLUMNS: usize = 512;

/// Which of the options a model finds likeliest.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Index of the option with the largest sum of log-probabilities; the first of equals.
    pub index: usize,
    /// Log-probability of each token of each option, in nats.
    pub logprobs: Vec<Vec<f32>>,
}

impl CausalLm {
    /// Picks the likeliest of `options` after `prompt`; the prompt is read once.
    ///
    /// Options that begin alike are told apart fairly if each ends with the token that ends a turn.
    ///
    /// # Errors
    /// [`LmError::Tokens`] if the prompt, the list or an option is empty, or one holds a token that the
    /// model does not have; [`LmError::TooLong`] if one does not fit the context.
    pub fn choose<'a>(
        &self,
        prompt: &[u32],
        options: &[Vec<u32>],
        overlay: impl Into<Overlay<'a>>,
    ) -> Result<Choice, LmError> {
        Chooser::new(self, overlay.into()).choose(prompt, options)
    }
}

/// Chooses after one prompt and then the next. What a prompt begins with in common with the one before it
/// is not read again: a judge's instructions, the examples of a benchmark.
pub(crate) struct Chooser<'m> {
    model: &'m CausalLm,
    overlay: Overlay<'m>,
    /// The prompt in the first slot, an option in each of the others; with their number.
    cache: Option<(KvCache, usize)>,
    /// What the first slot holds.
    held: Vec<u32>,
}

impl<'m> Chooser<'m> {
    pub(crate) fn new(model: &'m CausalLm, overlay: Overlay<'m>) -> Self {
        Self { model, overlay, cache: None, held: Vec::new() }
    }

    /// As [`CausalLm::choose`].
    pub(crate) fn choose(
        &mut self,
        prompt: &[u32],
        options: &[Vec<u32>],
    ) -> Result<Choice, LmError> {
        let (model, overlay) = (self.model, self.overlay);
        model.check_tokens("the prompt", prompt)?;
        for (index, option) in options.iter().enumerate() {
            let what = format!("option {index}");
            model.check_tokens(&what, option)?;
            model.check_length(&what, prompt.len() + option.len())?;
        }
        if options.is_empty() {
            return Err(LmError::Tokens {
                what: "the list of options".into(),
                reason: "is empty; give at least one".into(),
            });
        }
        let slots = options.len() + 1;
        let fresh = || KvCache::new(&model.config, slots, FIRST_COLUMNS, &model.device);
        let (cache, _) = match self.cache.take() {
            Some((cache, room)) if room >= slots => self.cache.insert((cache, room)),
            _ => {
                self.held.clear();
                self.cache.insert((fresh(), slots))
            }
        };
        // The last token is read in any case: something must say what comes next.
        let known = match common(&self.held, &prompt[..prompt.len() - 1]) {
            known if known >= WORTH_SHARING => known,
            _ => 0,
        };
        cache.truncate(0, known);
        let read = model.read(&[(0, &prompt[known..])], overlay, cache);
        self.held = prompt.to_vec();
        // What stands before each option token: the prompt's last token, then the option's own.
        let before = read.narrow(0, prompt.len() - known - 1, 1);
        for slot in 1..slots {
            cache.share(0, slot, prompt.len());
        }
        let rows: Vec<(usize, &[u32])> = (1..)
            .zip(options)
            .filter(|(_, option)| option.len() > 1)
            .map(|(slot, option)| (slot, &option[..option.len() - 1]))
            .collect();
        let hidden = if rows.is_empty() {
            before
        } else {
            Tensor::cat(vec![before, model.read(&rows, overlay, cache)], 0)
        };
        let logprobs = model.option_logprobs(hidden, options, &rows);
        let totals = logprobs.iter().map(|l| l.iter().map(|&l| f64::from(l)).sum::<f64>());
        let best =
            totals.enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
        Ok(Choice { index: best.map_or(0, |(index, _)| index), logprobs })
    }
}

impl CausalLm {
    /// `hidden`: that of the prompt's last token, then those of `rows`, padded to the longest.
    fn option_logprobs(
        &self,
        hidden: Tensor<2>,
        options: &[Vec<u32>],
        rows: &[(usize, &[u32])],
    ) -> Vec<Vec<f32>> {
        let seq = rows.iter().map(|(_, ids)| ids.len()).max().unwrap_or(0);
        let (mut positions, mut targets) = (Vec::new(), Vec::new());
        for (index, option) in options.iter().enumerate() {
            let row = rows.iter().position(|(slot, _)| *slot == index + 1).unwrap_or(0);
            for (at, &id) in option.iter().enumerate() {
                positions.push(if at == 0 { 0 } else { (1 + row * seq + at - 1) as i32 });
                targets.push(id as i32);
            }
        }
        let ints = |values: Vec<i32>| -> Tensor<1, Int> {
            let len = values.len();
            Tensor::from_data(TensorData::new(values, [len]), &self.device)
        };
        let hidden = hidden.select(0, ints(positions));
        let values = self.target_logprobs(hidden, ints(targets)).into_data();
        let mut values =
            values.convert::<f32>().try_into_vec::<f32>().unwrap_or_default().into_iter();
        options.iter().map(|option| values.by_ref().take(option.len()).collect()).collect()
    }
}
