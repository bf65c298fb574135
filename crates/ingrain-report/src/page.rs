//! Templates to pages, with the policy that keeps everything foreign in them still.

use ingrain_run::base64;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::ReportError;

const STYLE: &str = include_str!("../templates/style.css");
const SCRIPT: &str = include_str!("../templates/page.js");
const TEMPLATES: [(&str, &str); 4] = [
    ("base.html", include_str!("../templates/base.html")),
    ("blocks.html", include_str!("../templates/blocks.html")),
    ("report.html", include_str!("../templates/report.html")),
    ("index.html", include_str!("../templates/index.html")),
];

/// Renders one of the templates. Their names end in `.html`, by which every value is escaped.
pub(crate) fn render(template: &str, values: &impl Serialize) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    let page = context! {
        page => Value::from(Serde(values)),
        style => STYLE,
        script => SCRIPT,
        policy => policy(),
        version => env!("CARGO_PKG_VERSION"),
    };
    Ok(environment.get_template(template)?.render(page)?)
}

/// Nothing is loaded, sent or framed; the page's own style and script run, by their hashes, and no
/// other.
fn policy() -> String {
    format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        source_hash(STYLE),
        source_hash(SCRIPT)
    )
}

/// The hash of an inline element's text, as a policy names it.
fn source_hash(text: &str) -> String {
    format!("sha256-{}", base64(&Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_that_browsers_compute() {
        // printf '%s' "alert('Hello, world.');" | openssl dgst -sha256 -binary | base64
        assert_eq!(
            source_hash("alert('Hello, world.');"),
            "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="
        );
    }

    #[test]
    fn nothing_in_the_style_or_the_script_ends_its_element() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
    }
}
