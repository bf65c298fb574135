//! Adapters that a server loads while it runs (vLLM's dynamic LoRA).

use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::client::OpenAiClient;
use super::endpoints::Endpoint;
use super::failure::Failure;
use super::http::Call;
use crate::ChatError;

impl OpenAiClient {
    /// Has every server load the PEFT adapter at `path` (a directory *there*) as model `name`, and
    /// returns a client of it. A server that has `name` already keeps it.
    ///
    /// vLLM must run with `--enable-lora` and `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True`.
    ///
    /// # Errors
    /// [`ChatError::Endpoint`] with what the first server that refuses says.
    ///
    /// # Source
    /// vLLM documentation, "LoRA Adapters", `/v1/load_lora_adapter`.
    pub fn load_adapter(&self, name: &str, path: &str) -> Result<Self, ChatError> {
        let body = json!({ "lora_name": name, "lora_path": path });
        let has_it = |failure: &Failure| matches!(failure, Failure::Status { code: 400, message, .. } if message.contains("already"));
        self.tell_all("/load_lora_adapter", &body, has_it)?;
        Ok(self.clone().with_model(name))
    }

    /// Has every server forget the adapter `name`. One that does not know it is content.
    ///
    /// # Errors
    /// As [`load_adapter`](Self::load_adapter).
    pub fn unload_adapter(&self, name: &str) -> Result<(), ChatError> {
        let knows_none = |failure: &Failure| matches!(failure, Failure::Status { code: 404, .. });
        self.tell_all("/unload_lora_adapter", &json!({ "lora_name": name }), knows_none)
    }

    fn tell_all(
        &self,
        route: &str,
        body: &Value,
        is_fine: impl Fn(&Failure) -> bool,
    ) -> Result<(), ChatError> {
        let body = Bytes::from(body.to_string());
        for endpoint in self.shared.endpoints.iter() {
            match self.block_on(self.tell(endpoint, route, body.clone())) {
                Err(ChatError::Endpoint { failure, .. }) if is_fine(&failure) => {}
                other => other?,
            }
        }
        Ok(())
    }

    async fn tell(&self, endpoint: &Endpoint, route: &str, body: Bytes) -> Result<(), ChatError> {
        let mut attempts = 0;
        loop {
            let call = Call {
                method: Method::POST,
                uri: endpoint.uri(route)?,
                key: endpoint.key.clone(),
                content_type: "application/json",
                body: body.clone(),
            };
            attempts += 1;
            // vLLM answers in plain text here.
            let Err(failure) = self.shared.http.bytes(call).await else { return Ok(()) };
            if !failure.is_transient() || attempts >= self.config.retry.max_attempts {
                let endpoint = endpoint.name().to_owned();
                return Err(ChatError::Endpoint { endpoint, attempts, failure });
            }
            self.pause(self.config.retry.backoff(attempts)).await?;
        }
    }
}
