//! Templates that mean harm end in errors: no crash, no hang, little memory.

use ingrain_chat::Message;
use ingrain_tokenizer::{ChatTokenizer, RenderOptions, TokenizerError};
use proptest::prelude::*;

use crate::make::Directory;

fn render(template: &str) -> Result<String, TokenizerError> {
    let dir = Directory::new(template);
    ChatTokenizer::from_hf_dir(dir.path())?
        .render(&[Message::user("x")], &RenderOptions::generation())
}

#[track_caller]
fn stopped(template: &str) {
    let error = render(template).expect_err("a limit");
    assert!(matches!(error, TokenizerError::TemplateLimit { .. }), "{error}");
}

#[track_caller]
fn failed(template: &str) {
    let error = render(template).expect_err("an error");
    assert!(
        matches!(error, TokenizerError::Template { .. } | TokenizerError::TemplateLimit { .. }),
        "{error}"
    );
}

#[test]
fn endless_work_is_stopped() {
    stopped("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}");
    stopped(
        "{% set a = 'a' * 1000000 %}{% for i in range(100000) %}{% set b = a.upper() %}{% endfor %}",
    );
    failed("{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}");
    failed("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}");
}

#[test]
fn endless_output_is_stopped() {
    stopped("{% for a in range(100000) %}{{ 'x' * 100 }}{% endfor %}");
    stopped("{{ 'a' * 10000000000 }}");
}

#[test]
fn values_that_blow_up_are_stopped() {
    stopped(
        "{% set ns = namespace(x='aaaa') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    );
    stopped("{% set a = 'a' * 1000000 %}{{ a.replace('a', a) | length }}");
    stopped("{% set a = 'a' * 1000000 %}{{ a.join(['a'] * 100000) | length }}");
    stopped("{{ 'x'.ljust(99999999999) }}");
    failed("{{ '{:>2000000000}'.format('x') }}");
    stopped("{{ '%2000000000s' | format('x') }}");
    failed("{{ range(10000000000) | list }}");
    failed("{{ 9 ** 9 ** 9 }}");
    let shared = "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
    for use_of in
        ["{{ ns.x }}", "{{ ns.x | tojson }}", "{{ ns.x | string }}", "{{ ns.x | pprint }}"]
    {
        failed(&format!("{shared}{use_of}"));
    }
}

#[test]
fn deep_values_do_not_break_the_stack() {
    let deep = "{% set ns = namespace(x=[], y=[]) %}{% for i in range(7000) %}\
                {% set ns.x = [ns.x] %}{% set ns.y = [ns.y] %}{% endfor %}";
    assert_eq!(render(&format!("{deep}ok")).unwrap(), "ok");
    assert_eq!(render(&format!("{deep}{{{{ ns.x == ns.y }}}}")).unwrap(), "True");
    failed(&format!("{deep}{{{{ ns.x }}}}"));
    failed(&format!("{deep}{{{{ ns.x | tojson }}}}"));
}

#[test]
fn deep_expressions_do_not_break_the_stack() {
    for (open, close, times) in [
        ("(", ")", 8_000),
        ("[", "]", 8_000),
        ("not ", "", 4_000),
        ("-", "", 16_000),
        ("1 if 1 else ", "", 1_200),
        ("1 + ", "", 4_000),
        ("a.", "", 8_000),
        ("'x' ~ ", "", 2_500),
    ] {
        let source = format!("{{{{ {}1{} }}}}", open.repeat(times), close.repeat(times));
        // Whatever comes of it, it comes back.
        let _ = render(&source);
    }
    let _ = render(&format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(4_000)));
    failed(&"{% if true %}".repeat(4_000));
}

#[test]
fn sources_that_the_engine_cannot_bear_are_refused() {
    failed(&"x".repeat(200_000));
    failed(&"\n".repeat(70_000));
    failed(&format!("{{#{}", "x".repeat(70_000)));
    failed(&format!("{{{{ {}", "-".repeat(20_000)));
    failed(&format!("{{{{ '{}' }}}}", "x".repeat(20_000)));
}

#[test]
fn a_long_message_of_a_refusal_is_cut() {
    let error = render("{{ raise_exception('a' * 100000) }}").unwrap_err();
    assert!(matches!(error, TokenizerError::TemplateRefused { .. }), "{error}");
    assert!(error.to_string().len() < 1_000);
}

#[test]
fn files_and_code_are_out_of_reach() {
    failed("{% include '/etc/passwd' %}");
    failed("{% import 'x' as y %}");
    failed("{% extends 'x' %}");
    failed("{{ ''.__class__.__mro__ }}");
    failed("{{ messages.append(1) }}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_templates_render_or_fail_and_come_back(
        which in 0_usize..8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[ -~\n]{0,3}"), 1..4),
    ) {
        let names = [
            "plain_chatml", "llama3_like", "qwen25_like", "qwen3_like", "gemma3_like", "mistral3_like",
            "smollm3_like", "macros_and_loops",
        ];
        let mut source = crate::make::template(names[which]);
        for (index, text) in changes {
            let at = index.index(source.len());
            source.replace_range(at..(at + text.len()).min(source.len()), &text);
        }
        let dir = Directory::new(&source);
        if let Ok(tokenizer) = ChatTokenizer::from_hf_dir(dir.path()) {
            let said = [Message::system("s"), Message::user("q"), Message::assistant("a")];
            let _ = tokenizer.render(&said, &RenderOptions::default());
            let _ = tokenizer.encode_turns(&said);
        }
    }
}
