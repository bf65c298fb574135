//! Picking among given continuations.

use burn::tensor::{Int, Tensor, TensorData};

use crate::layers::KvCache;
use crate::{CausalLm, LmError, Overlay};

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
        let overlay = overlay.into();
        self.check_tokens("the prompt", prompt)?;
        for (index, option) in options.iter().enumerate() {
            let what = format!("option {index}");
            self.check_tokens(&what, option)?;
            self.check_length(&what, prompt.len() + option.len())?;
        }
        let width = options.iter().map(Vec::len).max().ok_or_else(|| LmError::Tokens {
            what: "the list of options".into(),
            reason: "is empty; give at least one".into(),
        })?;
        let slots = options.len() + 1;
        let mut cache = KvCache::new(&self.config, slots, prompt.len() + width, &self.device);
        let read = self.read(&[(0, prompt)], overlay, &mut cache);
        // What stands before each option token: the prompt's last token, then the option's own.
        let before = read.narrow(0, prompt.len() - 1, 1);
        for slot in 1..slots {
            cache.share(0, slot, prompt.len());
        }
        let rows: Vec<(usize, &[u32])> = (1..slots)
            .zip(options)
            .filter(|(_, option)| option.len() > 1)
            .map(|(slot, option)| (slot, &option[..option.len() - 1]))
            .collect();
        let hidden = if rows.is_empty() {
            before
        } else {
            Tensor::cat(vec![before, self.read(&rows, overlay, &mut cache)], 0)
        };
        let logprobs = self.option_logprobs(hidden, options, &rows);
        let totals = logprobs.iter().map(|l| l.iter().map(|&l| f64::from(l)).sum::<f64>());
        let best =
            totals.enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
        Ok(Choice { index: best.map_or(0, |(index, _)| index), logprobs })
    }

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
