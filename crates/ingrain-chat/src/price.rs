//! What replies cost: prices from the user's file, tokens counted, a budget that ends a run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ingrain_run::RunError;
use serde::{Deserialize, Serialize};

use crate::{ChatError, ChatModel, ChatReply, ChatRequest};

/// Price of a model, in the user's currency for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens of prompts.
    pub prompt_per_million: f64,
    /// Tokens of replies, reasoning included.
    pub completion_per_million: f64,
}

/// Prices by model, as the user wrote them down: a JSON object from model names to [`Price`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prices(pub BTreeMap<String, Price>);

/// Tokens and money, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Replies.
    pub replies: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of replies.
    pub completion_tokens: u64,
    /// In the user's currency.
    pub cost: f64,
}

/// What a run may use up; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// In the user's currency.
    pub max_cost: Option<f64>,
    /// Tokens, prompts and replies together.
    pub max_tokens: Option<u64>,
}

/// What the models of one run spent together, and what they may spend. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Account {
    budget: Budget,
    spent: Arc<Mutex<Spent>>,
}

impl Account {
    /// Goes on from what earlier processes spent.
    #[must_use]
    pub fn new(budget: Budget, spent: Spent) -> Self {
        Self { budget, spent: Arc::new(Mutex::new(spent)) }
    }

    /// Everything so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        *self.lock()
    }

    /// Adds what was spent elsewhere.
    pub fn add(&self, other: Spent) {
        self.lock().add(other);
    }

    fn lock(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used_up(&self) -> ChatError {
        let Spent { cost, prompt_tokens, completion_tokens, .. } = self.spent();
        let tokens = prompt_tokens + completion_tokens;
        let limit = match self.budget {
            Budget { max_cost: Some(max), .. } => format!("{cost:.4} of {max} in money"),
            Budget { max_tokens, .. } => format!("{tokens} of {} tokens", max_tokens.unwrap_or(0)),
        };
        ChatError::Budget(format!("{limit} is spent, and another request might exceed it"))
    }
}

impl Budget {
    fn allows(&self, spent: &Spent) -> bool {
        let tokens = spent.prompt_tokens + spent.completion_tokens;
        self.max_cost.is_none_or(|max| spent.cost <= max)
            && self.max_tokens.is_none_or(|max| tokens <= max)
    }
}

impl Spent {
    /// One reply.
    #[must_use]
    pub fn of_reply(prompt_tokens: u64, completion_tokens: u64, price: Option<Price>) -> Self {
        let cost = price.map_or(0.0, |p| p.cost(prompt_tokens, completion_tokens));
        Self { replies: 1, prompt_tokens, completion_tokens, cost }
    }

    /// Adds another amount.
    pub fn add(&mut self, other: Self) {
        self.replies += other.replies;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cost += other.cost;
    }
}

impl Price {
    /// Cost of so many tokens.
    #[must_use]
    pub fn cost(&self, prompt_tokens: u64, completion_tokens: u64) -> f64 {
        (self.prompt_per_million * prompt_tokens as f64
            + self.completion_per_million * completion_tokens as f64)
            / 1e6
    }
}

impl Prices {
    /// Reads a price file.
    ///
    /// # Errors
    /// [`RunError::Malformed`] naming what is wrong (a price below zero too), or [`RunError::Io`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, RunError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| RunError::io(path, "read", e))?;
        let malformed = |reason: String| RunError::Malformed {
            path: path.to_path_buf(),
            what: "price file",
            reason,
        };
        let prices: Self = serde_json::from_slice(&bytes).map_err(|e| malformed(e.to_string()))?;
        for (model, price) in &prices.0 {
            let both = [price.prompt_per_million, price.completion_per_million];
            if both.iter().any(|p| !p.is_finite() || *p < 0.0) {
                return Err(malformed(format!("a price of {model} is below zero")));
            }
        }
        Ok(prices)
    }

    /// Price of a model; none if the file does not name it.
    #[must_use]
    pub fn of(&self, model: &str) -> Option<Price> {
        self.0.get(model).copied()
    }
}

/// Counts what a model's replies cost and stops before a budget is exceeded.
///
/// Requests go on in groups whose *worst* case (a prompt at two bytes a token, a reply as long as
/// allowed) still fits the budget; what does not fit any more is [`ChatError::Budget`]. Put
/// [`Cached`](crate::Cached) in front, so that what is known costs nothing.
///
/// # Examples
/// ```
/// use ingrain_chat::{Budget, ChatModel, ChatRequest, Message, Metered, Price, Sampling, Scripted};
///
/// let price = Price { prompt_per_million: 1.0, completion_per_million: 10.0 };
/// let model = Metered::new(Scripted::from_fn(|_| "Four words it is.".into()), Some(price), Budget::default());
/// model.complete_one(&ChatRequest::new(vec![Message::user("Hi.")], Sampling::default()))?;
/// assert_eq!(model.spent().cost, (1.0 + 4.0 * 10.0) / 1e6);
/// # Ok::<(), ingrain_chat::ChatError>(())
/// ```
#[derive(Debug)]
pub struct Metered<M> {
    model: M,
    price: Option<Price>,
    account: Account,
}

impl<M: ChatModel> Metered<M> {
    /// Starts at nothing. Without a price, tokens are counted and money is not.
    pub fn new(model: M, price: Option<Price>, budget: Budget) -> Self {
        Self::on_account(model, price, Account::new(budget, Spent::default()))
    }

    /// Shares budget and count with every other model on this account.
    pub fn on_account(model: M, price: Option<Price>, account: Account) -> Self {
        Self { model, price, account }
    }

    /// Everything so far on its account.
    #[must_use]
    pub fn spent(&self) -> Spent {
        self.account.spent()
    }

    /// How many of `requests`, from the first on, fit the budget at worst.
    fn affordable(&self, requests: &[ChatRequest]) -> usize {
        let mut spent = self.spent();
        let fits = |request: &&ChatRequest| {
            let bytes: usize = request.messages.iter().map(|m| m.content.len()).sum();
            let limit = request.sampling.max_new_tokens as u64;
            spent.add(Spent::of_reply((bytes / 2 + 32) as u64, limit, self.price));
            self.account.budget.allows(&spent)
        };
        requests.iter().take_while(fits).count()
    }
}

impl<M: ChatModel> ChatModel for Metered<M> {
    fn complete(
        &self,
        requests: &[ChatRequest],
        on_reply: &mut dyn FnMut(usize, Result<ChatReply, ChatError>),
    ) {
        let mut start = 0;
        while start < requests.len() {
            let count = self.affordable(&requests[start..]);
            if count == 0 {
                return (start..requests.len())
                    .for_each(|i| on_reply(i, Err(self.account.used_up())));
            }
            self.model.complete(&requests[start..start + count], &mut |i, result| {
                if let Ok(reply) = &result {
                    let (prompt, completion) = (reply.prompt_tokens, reply.completion_tokens);
                    self.account.add(Spent::of_reply(prompt as u64, completion as u64, self.price));
                }
                on_reply(start + i, result);
            });
            start += count;
        }
    }

    fn batch_matters(&self) -> bool {
        self.model.batch_matters()
    }

    fn cost(&self) -> Option<f64> {
        self.price.map(|_| self.spent().cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Sampling, Scripted};

    fn requests(n: usize, max_new_tokens: usize) -> Vec<ChatRequest> {
        let sampling = Sampling { max_new_tokens, ..Sampling::default() };
        (0..n)
            .map(|i| ChatRequest::new(vec![Message::user(format!("q{i}"))], sampling.clone()))
            .collect()
    }

    fn ten_words() -> Scripted {
        Scripted::from_fn(|_| "w ".repeat(10))
    }

    #[test]
    fn a_budget_is_never_exceeded_and_used_as_far_as_it_goes() {
        let budget = Budget { max_tokens: Some(1_000), ..Budget::default() };
        let model = Metered::new(ten_words(), None, budget);
        let results = model.complete_all(&requests(200, 100));
        let spent = model.spent();
        let tokens = spent.prompt_tokens + spent.completion_tokens;
        assert!((800..=1_000).contains(&tokens), "{tokens}");
        let answered = results.iter().filter(|r| r.is_ok()).count();
        assert_eq!(answered as u64, spent.replies);
        assert!(results[answered..].iter().all(|r| matches!(r, Err(ChatError::Budget(_)))));
    }

    #[test]
    fn money_is_counted_by_the_price_and_goes_on_over_processes() {
        let price = Price { prompt_per_million: 1.0, completion_per_million: 2.0 };
        let model = Metered::new(ten_words(), Some(price), Budget::default());
        model.complete_all(&requests(3, 100));
        let spent = model.spent();
        assert!((spent.cost - 3.0 * 21.0 / 1e6).abs() < 1e-12);
        let budget = Budget { max_cost: Some(spent.cost), ..Budget::default() };
        let next = Metered::on_account(ten_words(), Some(price), Account::new(budget, spent));
        let error = next.complete_all(&requests(1, 100)).remove(0).unwrap_err().to_string();
        assert!(error.contains("0.0001 of 0.00006"), "{error}");
    }

    #[test]
    fn two_models_on_one_account_share_its_budget() {
        let budget = Budget { max_tokens: Some(300), ..Budget::default() };
        let account = Account::new(budget, Spent::default());
        let [a, b] = [(), ()].map(|()| Metered::on_account(ten_words(), None, account.clone()));
        assert!(a.complete_all(&requests(12, 20)).iter().all(Result::is_ok));
        let answered = b.complete_all(&requests(12, 20)).iter().filter(|r| r.is_ok()).count();
        assert!((1..12).contains(&answered), "{answered}");
        assert_eq!(account.spent().replies, 12 + answered as u64);
    }

    #[test]
    fn a_price_file_is_read_and_wrong_ones_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prices.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Prices::read(&path)
        };
        let good = r#"{"glm": {"prompt_per_million": 0.2, "completion_per_million": 1.1}}"#;
        let price = read(good).unwrap().of("glm").unwrap();
        assert!((price.cost(1_000_000, 2_000_000) - 2.4).abs() < 1e-12);
        for bad in [good.replace("0.2", "-1"), good.replace("prompt_", "promt_"), "[]".into()] {
            let error = read(&bad).unwrap_err().to_string();
            assert!(error.contains("price file"), "{error}");
        }
    }
}
