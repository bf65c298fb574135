//! Dataset cards: the README of a data folder, with the Hub's YAML header.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// What a dataset card says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetCard {
    /// Title.
    pub title: String,
    /// A paragraph or two on what it is and how it was made.
    pub description: String,
    /// Licence by its Hub name: `apache-2.0`, `cc-by-4.0`.
    pub license: String,
    /// Languages, as ISO 639-1 codes.
    pub languages: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Files by the name of their configuration: `pairs`, `introspection`.
    pub files: Vec<(String, String)>,
    /// Records in all.
    pub records: usize,
}

impl DatasetCard {
    /// The card as Markdown.
    ///
    /// # Examples
    /// ```
    /// use ingrain_data::interchange::DatasetCard;
    ///
    /// let card = DatasetCard {
    ///     title: "Sarcasm: pairs".into(),
    ///     license: "apache-2.0".into(),
    ///     files: vec![("pairs".into(), "pairs.jsonl".into())],
    ///     records: 9150,
    ///     ..DatasetCard::default()
    /// };
    /// let text = card.to_markdown();
    /// assert!(text.starts_with("---\nlicense: \"apache-2.0\"\n"));
    /// assert!(text.contains("size_categories:\n- 1K<n<10K\n"));
    /// assert!(text.contains("- config_name: \"pairs\"\n  data_files: \"pairs.jsonl\"\n"));
    /// ```
    #[must_use]
    pub fn to_markdown(&self) -> String {
        // Writing to a string cannot fail.
        let mut text = String::from("---\n");
        let _ = writeln!(text, "license: {}", quoted(&self.license));
        list(&mut text, "language", &self.languages);
        let _ = writeln!(text, "pretty_name: {}", quoted(&self.title));
        text.push_str("task_categories:\n- text-generation\n");
        list(&mut text, "tags", &self.tags);
        let _ = writeln!(text, "size_categories:\n- {}", size_category(self.records));
        if !self.files.is_empty() {
            text.push_str("configs:\n");
        }
        for (name, file) in &self.files {
            let (name, file) = (quoted(name), quoted(file));
            let _ = writeln!(text, "- config_name: {name}\n  data_files: {file}");
        }
        let _ = write!(text, "---\n\n# {}\n\n{}\n", one_line(&self.title), self.description.trim());
        text
    }
}

fn list(text: &mut String, key: &str, items: &[String]) {
    if !items.is_empty() {
        let lines: Vec<String> = items.iter().map(|item| format!("- {}\n", quoted(item))).collect();
        let _ = write!(text, "{key}:\n{}", lines.concat());
    }
}

/// A JSON string is a YAML string, whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The Hub's size classes.
fn size_category(records: usize) -> &'static str {
    match records {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        _ => "n>1M",
    }
}
