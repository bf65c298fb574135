"""The server through OpenAI's own client: every route, streaming, log-probabilities, echo, refusals.

    pip install openai
    cargo build --release --example serve
    python crates/ingrain-serve/tests/clients/openai_client.py target/release/examples/serve ADAPTER_DIR
"""

import sys

import openai
from running import running

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def chat(client: openai.OpenAI, model: str) -> None:
    ask = dict(model=model, messages=QUESTION, max_tokens=40, temperature=0)
    whole = client.chat.completions.create(**ask)
    said, usage = whole.choices[0].message.content, whole.usage
    assert said and whole.choices[0].finish_reason in ("stop", "length")
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens

    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == said
    assert chunks[-1].usage == usage

    plain = client.chat.completions.create(**ask | {"max_tokens": 5}, logprobs=True, top_logprobs=3, n=2, seed=1)
    assert len(plain.choices) == 2
    for choice in plain.choices:
        assert choice.logprobs.content
        for token in choice.logprobs.content:
            assert len(token.top_logprobs) == 3 and token.logprob <= 0

    stop = said[len(said) // 2 : len(said) // 2 + 3]
    cut = client.chat.completions.create(**ask, stop=[stop]).choices[0]
    assert cut.finish_reason == "stop" and cut.message.content == said[: said.index(stop)]


def completions(client: openai.OpenAI, model: str) -> None:
    prompts = [[504, 3575, 282, 4649, 314], [504, 3575, 282, 4649, 314, 7042]]
    scored = client.completions.create(
        model=model, prompt=prompts, echo=True, logprobs=1, max_tokens=1, temperature=0
    )
    for choice, prompt in zip(scored.choices, prompts):
        found = choice.logprobs
        assert len(found.tokens) == len(prompt) + 1 and "".join(found.tokens) == choice.text
        assert found.token_logprobs[0] is None and all(l <= 0 for l in found.token_logprobs[1:])
    shorter, longer = (choice.logprobs.token_logprobs for choice in scored.choices)
    assert all(abs(a - b) < 1e-3 for a, b in zip(shorter[1:5], longer[1:5])), "the same beginning"
    assert client.completions.create(model=model, prompt="The sky is", max_tokens=8).choices[0].text


def refusals(client: openai.OpenAI, model: str) -> None:
    ask = dict(model=model, messages=QUESTION)
    for change, status in [({"model": "nobody"}, 404), ({"max_tokens": 10**6}, 400), ({"n": 10**6}, None)]:
        try:
            client.chat.completions.create(**ask | change)
        except openai.APIStatusError as error:
            assert 400 <= error.status_code < 500 and status in (None, error.status_code), error
        else:
            raise AssertionError(f"{change} is not refused")


def main() -> None:
    program, *adapters = sys.argv[1:]
    with running(program, *adapters) as (url, _):
        client = openai.OpenAI(base_url=f"{url}v1", api_key="none", max_retries=0)
        models = [model.id for model in client.models.list()]
        assert len(models) == 1 + len(adapters) and client.models.retrieve(models[0]).id == models[0]
        for model in models:
            chat(client, model)
            completions(client, model)
        refusals(client, models[0])
    print(f"ok: {', '.join(models)}")


if __name__ == "__main__":
    main()
