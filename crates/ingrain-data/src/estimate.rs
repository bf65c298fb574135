//! What a stage will ask for, before anything is sent: requests, tokens, time, money.

use std::fmt;

use ingrain_chat::{Message, Price};
use serde::{Deserialize, Serialize};

use crate::{InteractionPlan, Prompt};

/// What is assumed about a model that has not been asked yet.
#[derive(Clone, Copy)]
pub struct Estimator<'a> {
    /// Tokens of a rendered conversation.
    pub count_tokens: &'a dyn Fn(&[Message]) -> usize,
    /// Tokens of a usual reply (the sampling's limit is the worst case).
    pub reply_tokens: usize,
    /// Reply tokens a second, all requests under way together.
    pub tokens_per_sec: f64,
    /// What it costs; none for a model of one's own.
    pub price: Option<Price>,
}

/// What a stage will take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageEstimate {
    /// Name of the stage.
    pub stage: String,
    /// Requests.
    pub requests: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of replies.
    pub completion_tokens: u64,
    /// Seconds.
    pub seconds: f64,
    /// Money, in the currency of the prices; 0 without one.
    pub cost: f64,
}

impl Estimator<'_> {
    /// A stage of [`crate::teacher_replies`] or [`crate::student_replies`].
    ///
    /// # Examples
    /// ```
    /// use ingrain_chat::{Message, Price};
    /// use ingrain_data::{Estimator, Prompt};
    ///
    /// let words = |m: &[Message]| m.iter().map(|m| m.content.split(' ').count()).sum::<usize>();
    /// let price = Price { prompt_per_million: 1.0, completion_per_million: 2.0 };
    /// let estimator = Estimator {
    ///     count_tokens: &words, reply_tokens: 100, tokens_per_sec: 50.0, price: Some(price),
    /// };
    /// let prompts = Prompt::general(["Why is that?", "How?"]);
    /// let teacher = estimator.replies("teacher", Some("Be dry."), &prompts, 5);
    /// assert_eq!((teacher.requests, teacher.prompt_tokens), (10, 5 * (5 + 3)));
    /// assert_eq!((teacher.completion_tokens, teacher.seconds), (1_000, 20.0));
    /// assert!((teacher.cost - 0.00204).abs() < 1e-12);
    /// ```
    #[must_use]
    pub fn replies(
        &self,
        stage: &str,
        system: Option<&str>,
        prompts: &[Prompt],
        samples: usize,
    ) -> StageEstimate {
        let tokens = |prompt: &Prompt| {
            let system = system.map(Message::system).into_iter();
            let messages: Vec<_> = system.chain([Message::user(&prompt.text)]).collect();
            (self.count_tokens)(&messages)
        };
        let once: usize = prompts.iter().map(tokens).sum();
        let (requests, prompt_tokens) = (prompts.len() * samples, once * samples);
        self.stage(stage, requests as u64, prompt_tokens as u64)
    }

    /// A stage of [`crate::self_interaction`]: each turn's prompt holds all turns before it.
    #[must_use]
    pub fn interactions(&self, stage: &str, plans: &[InteractionPlan]) -> StageEstimate {
        let (mut requests, mut prompt_tokens) = (0_u64, 0_u64);
        for plan in plans {
            let (talks, turns) = (plan.conversations as u64, plan.turns as u64);
            let opening = [
                Message::system(&plan.system),
                Message::user(plan.greetings.first().map_or("", String::as_str)),
            ];
            let fixed = (self.count_tokens)(&opening) as u64;
            let heard = turns * turns.saturating_sub(1) / 2 * self.reply_tokens as u64;
            requests += talks * turns;
            prompt_tokens += talks * (turns * fixed + heard);
        }
        self.stage(stage, requests, prompt_tokens)
    }

    fn stage(&self, stage: &str, requests: u64, prompt_tokens: u64) -> StageEstimate {
        let completion_tokens = requests * self.reply_tokens as u64;
        StageEstimate {
            stage: stage.to_owned(),
            requests,
            prompt_tokens,
            completion_tokens,
            seconds: completion_tokens as f64 / self.tokens_per_sec.max(f64::MIN_POSITIVE),
            cost: self.price.map_or(0.0, |p| p.cost(prompt_tokens, completion_tokens)),
        }
    }
}

impl StageEstimate {
    /// All stages together, as `total`.
    #[must_use]
    pub fn total(stages: &[Self]) -> Self {
        let mut total = Self { stage: "total".to_owned(), ..Self::default() };
        for stage in stages {
            total.requests += stage.requests;
            total.prompt_tokens += stage.prompt_tokens;
            total.completion_tokens += stage.completion_tokens;
            total.seconds += stage.seconds;
            total.cost += stage.cost;
        }
        total
    }
}

/// One line: `teacher: 9150 requests, 2.1M + 3.7M tokens, 1 h 12 min, 4.90`.
impl fmt::Display for StageEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millions = |tokens: u64| format!("{:.2}M", tokens as f64 / 1e6);
        let minutes = (self.seconds / 60.0).ceil() as u64;
        write!(
            f,
            "{}: {} requests, {} + {} tokens, {} h {} min, {:.2}",
            self.stage,
            self.requests,
            millions(self.prompt_tokens),
            millions(self.completion_tokens),
            minutes / 60,
            minutes % 60,
            self.cost
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unfinished;
    use ingrain_constitution::InteractionKind;

    #[test]
    fn each_turn_of_a_conversation_pays_for_all_before_it() {
        let words = |m: &[Message]| m.iter().map(|m| m.content.split(' ').count()).sum::<usize>();
        let estimator =
            Estimator { count_tokens: &words, reply_tokens: 10, tokens_per_sec: 1.0, price: None };
        let plan = InteractionPlan {
            kind: InteractionKind::Free,
            system: "One two".into(),
            greetings: vec!["Hi".into()],
            conversations: 2,
            turns: 3,
            unfinished: Unfinished::Keep,
        };
        let got = estimator.interactions("interactions", &[plan]);
        // Two conversations of prompts of 3, 13 and 23 tokens.
        assert_eq!((got.requests, got.prompt_tokens, got.completion_tokens), (6, 2 * 39, 60));
        let total = StageEstimate::total(&[got.clone(), got]);
        assert_eq!(total.to_string(), "total: 12 requests, 0.00M + 0.00M tokens, 0 h 2 min, 0.00");
    }
}
