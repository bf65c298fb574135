//! Chat templates: compiling and rendering within bounds.

use ingrain_chat::Message;
use ingrain_tokenizer::{ChatTemplate, RenderOptions};

/// Pieces that templates are made of.
pub const DICTIONARY: &[&str] = &[
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "{%- ",
    " -%}",
    "{# ",
    " #}",
    "{% for m in messages %}",
    "{% endfor %}",
    "{% if loop.first %}",
    "{% elif x is defined %}",
    "{% else %}",
    "{% endif %}",
    "{% set ns = namespace(x=0) %}",
    "{% set ns.x = ns.x + ns.x %}",
    "{% macro f(n) %}",
    "{% endmacro %}",
    "{{ f(1) }}",
    "{% generation %}",
    "{% endgeneration %}",
    "{% raw %}",
    "{% endraw %}",
    "{{ raise_exception('no') }}",
    "{{ strftime_now('%d %b %Y') }}",
    "m['content']",
    "m.role",
    "messages[::-1]",
    "messages[1:]",
    "[0]",
    " | trim",
    " | tojson(indent=2)",
    " | length",
    " | join(', ')",
    " | map(attribute='x') | list",
    " | selectattr('role', 'equalto', 'user')",
    ".split('</think>')",
    ".replace('a', 'aaaa')",
    ".format(1)",
    ".strip().rstrip('\\n')",
    " ~ ",
    " * 1000000",
    " ** 99",
    " % 7",
    " // 0",
    "range(1000000)",
    "'%2000000000s'",
    "is string",
    "is mapping",
    "not in",
    "loop.index0",
    "caller()",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% extends 'chat' %}",
    "add_generation_prompt",
    "bos_token",
    "tools",
    "\\ud800",
    "\u{F8F2}",
    "\0",
];

/// Templates of this repository.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![b"{{ messages }}".to_vec()];
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/ingrain-tokenizer/tests/fixtures/templates"
    );
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        seeds.extend(std::fs::read(entry.path()).ok());
    }
    seeds
}

/// Nothing panics or hangs; a render is an error or a bounded text, and the same one twice.
pub fn run(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else { return };
    let Ok(template) = ChatTemplate::new("fuzz", source) else { return };
    let conversation = [
        Message::system("Be terse."),
        Message::user("Why {{ is }} the sky blue?"),
        Message::assistant("<think>Hm.</think>It scatters."),
        Message::user("And at dusk?"),
    ];
    let input: usize = conversation.iter().map(|message| message.content.len()).sum();
    for messages in [&conversation[..], &conversation[1..2]] {
        let options = RenderOptions { unix_time_secs: Some(0), ..RenderOptions::generation() };
        let options = options.with("bos_token", "<s>").with("eos_token", "</s>");
        let first = template.render(messages, &options);
        if let Ok(text) = &first {
            // The documented bound: a mebibyte beyond eight times source and input.
            assert!(text.len() <= (2 << 20) + 8 * (input + source.len()), "{} bytes", text.len());
            assert_eq!(template.render(messages, &options).ok().as_ref(), Some(text));
        }
    }
}
