//! Benchmarks in the fields in which their publishers ship them.

use serde_json::Value;

use super::Item;

/// Whose fields a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Ours: `id`, `question`, `options`, `answer` (an index).
    General,
    /// ARC: `question` with `stem` and `choices` (or as text beside `choices`), `answerKey`.
    Arc,
    /// HellaSwag: `activity_label`, `ctx_a`, `ctx_b`, `endings`, `label`.
    HellaSwag,
    /// MMLU: `question`, `choices`, `answer` (an index or a letter), `subject`.
    Mmlu,
    /// PIQA: `goal`, `sol1`, `sol2`, `label`.
    Piqa,
    /// WinoGrande: `sentence` with `_`, `option1`, `option2`, `answer` (`"1"` or `"2"`).
    WinoGrande,
    /// TruthfulQA, one right answer: `question`, `mc1_targets`.
    TruthfulQa1,
    /// TruthfulQA, several right answers: `question`, `mc2_targets`.
    TruthfulQa2,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "general" => Self::General,
            "arc" => Self::Arc,
            "hellaswag" => Self::HellaSwag,
            "mmlu" => Self::Mmlu,
            "piqa" => Self::Piqa,
            "winogrande" => Self::WinoGrande,
            "truthfulqa_mc1" => Self::TruthfulQa1,
            "truthfulqa_mc2" => Self::TruthfulQa2,
            _ => {
                return Err(format!(
                    "unknown benchmark {name:?}; expected general, arc, hellaswag, mmlu, piqa, \
                     winogrande, truthfulqa_mc1 or truthfulqa_mc2"
                ));
            }
        })
    }
}

impl Format {
    /// One line as an item; `index` names it where it has no name.
    ///
    /// # Errors
    /// What is missing or of another type.
    pub fn item(self, row: &Value, index: usize) -> Result<Item, String> {
        let named = ["id", "qID", "ind"].iter().find_map(|key| row.get(key));
        let key = match named {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => index.to_string(),
        };
        match self {
            Self::General => general(row, key),
            Self::Arc => arc(row, key),
            Self::HellaSwag => hellaswag(row, key),
            Self::Mmlu => mmlu(row, key),
            Self::Piqa => piqa(row, key),
            Self::WinoGrande => winogrande(row, key),
            Self::TruthfulQa1 => truthful(row, key, "mc1_targets"),
            Self::TruthfulQa2 => truthful(row, key, "mc2_targets"),
        }
    }
}

fn text<'r>(row: &'r Value, field: &str) -> Result<&'r str, String> {
    row.get(field).and_then(Value::as_str).ok_or_else(|| format!("{field} is no text"))
}

fn texts<'r>(row: &'r Value, field: &str) -> Result<Vec<&'r str>, String> {
    let list = row.get(field).and_then(Value::as_array);
    let list: Option<Vec<&str>> = list.and_then(|list| list.iter().map(Value::as_str).collect());
    list.filter(|list| !list.is_empty()).ok_or_else(|| format!("{field} is no list of texts"))
}

/// An index as a number or its digits.
fn index(row: &Value, field: &str, count: usize) -> Result<usize, String> {
    let found = match row.get(field) {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(digits)) => digits.trim().parse().ok(),
        _ => None,
    };
    let found = found.and_then(|at| usize::try_from(at).ok()).filter(|&at| at < count);
    found.ok_or_else(|| format!("{field} is no index below {count}"))
}

fn only(right: usize, count: usize) -> Vec<bool> {
    (0..count).map(|at| at == right).collect()
}

fn asked(question: &str) -> String {
    format!("Question: {}\nAnswer:", question.trim())
}

fn general(row: &Value, key: String) -> Result<Item, String> {
    let options = texts(row, "options")?;
    let right = only(index(row, "answer", options.len())?, options.len());
    Ok(Item::behind(key, asked(text(row, "question")?), &options, right))
}

fn arc(row: &Value, key: String) -> Result<Item, String> {
    let inner = row.get("question").ok_or("question is missing")?;
    let (question, choices) = match inner {
        Value::String(question) => (question.as_str(), row.get("choices")),
        _ => (text(inner, "stem")?, inner.get("choices")),
    };
    let choices = choices.ok_or("choices are missing")?;
    let (labels, options): (Vec<&str>, Vec<&str>) = match choices {
        Value::Array(list) => {
            let pair = |choice| Ok((text(choice, "label")?, text(choice, "text")?));
            list.iter().map(pair).collect::<Result<Vec<_>, String>>()?.into_iter().unzip()
        }
        both => (texts(both, "label")?, texts(both, "text")?),
    };
    let answer = text(row, "answerKey")?;
    let right = labels.iter().position(|label| *label == answer);
    let right = right.ok_or_else(|| format!("answerKey {answer:?} is none of the labels"))?;
    Ok(Item::behind(key, asked(question), &options, only(right, options.len())))
}

fn hellaswag(row: &Value, key: String) -> Result<Item, String> {
    let (label, before, after) =
        (text(row, "activity_label")?, text(row, "ctx_a")?, text(row, "ctx_b")?);
    let mut letters = after.chars();
    let after: String = letters
        .next()
        .map(|first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
        .unwrap_or_default();
    let context = without_markup(&format!("{label}: {before} {after}"));
    let endings: Vec<String> = texts(row, "endings")?.into_iter().map(without_markup).collect();
    let endings: Vec<&str> = endings.iter().map(String::as_str).collect();
    let right = only(index(row, "label", endings.len())?, endings.len());
    Ok(Item::behind(key, context, &endings, right))
}

/// WikiHow's `[title]` and other brackets removed.
fn without_markup(text: &str) -> String {
    let text = text.trim().replace(" [title]", ". ");
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, inside)) = rest.split_once('[') {
        match inside.split_once(']') {
            Some((_, after)) => {
                clean.push_str(before);
                rest = after;
            }
            None => break,
        }
    }
    clean.push_str(rest);
    clean.replace("  ", " ")
}

fn mmlu(row: &Value, key: String) -> Result<Item, String> {
    let choices = texts(row, "choices")?;
    let letters: Vec<String> =
        (0..choices.len()).map(|at| char::from(b'A' + at as u8).to_string()).collect();
    let right = match row.get("answer") {
        Some(Value::String(answer)) => letters.iter().position(|letter| letter == answer),
        _ => None,
    };
    let right = right.map_or_else(|| index(row, "answer", choices.len()), Ok)?;
    let mut context = String::new();
    if let Some(subject) = row.get("subject").and_then(Value::as_str) {
        let subject = subject.replace('_', " ");
        context = format!(
            "The following are multiple choice questions (with answers) about {subject}.\n\n"
        );
    }
    context.push_str(text(row, "question")?.trim());
    for (letter, choice) in letters.iter().zip(&choices) {
        context.push_str(&format!("\n{letter}. {choice}"));
    }
    context.push_str("\nAnswer:");
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    Ok(Item::behind(key, context, &letters, only(right, choices.len())))
}

fn piqa(row: &Value, key: String) -> Result<Item, String> {
    let options = [text(row, "sol1")?, text(row, "sol2")?];
    let right = only(index(row, "label", 2)?, 2);
    Ok(Item::behind(key, asked(text(row, "goal")?), &options, right))
}

/// What follows the gap is scored behind either filling.
fn winogrande(row: &Value, key: String) -> Result<Item, String> {
    let sentence = text(row, "sentence")?;
    let (before, after) = sentence.split_once('_').ok_or("sentence has no gap `_`")?;
    let continuation = format!(" {}", after.trim());
    let options = [text(row, "option1")?, text(row, "option2")?];
    let right = index(row, "answer", 3)?.checked_sub(1).ok_or("answer is neither 1 nor 2")?;
    Ok(Item {
        key,
        contexts: options.iter().map(|option| format!("{before}{option}")).collect(),
        lengths: vec![continuation.trim().chars().count().max(1); 2],
        continuations: vec![continuation; 2],
        right: only(right, 2),
    })
}

fn truthful(row: &Value, key: String, field: &str) -> Result<Item, String> {
    let targets = row.get(field).ok_or_else(|| format!("{field} is missing"))?;
    let (choices, right): (Vec<&str>, Vec<bool>) = match targets {
        // The publisher's file: an object from answers to 0 or 1.
        Value::Object(map) if map.values().all(Value::is_number) => {
            map.iter().map(|(choice, is)| (choice.as_str(), is.as_u64() == Some(1))).unzip()
        }
        _ => {
            let labels = targets.get("labels").and_then(Value::as_array);
            let labels = labels.ok_or_else(|| format!("{field} has no labels"))?;
            let right = labels.iter().map(|label| label.as_u64() == Some(1)).collect();
            (texts(targets, "choices")?, right)
        }
    };
    if choices.len() != right.len() || !right.contains(&true) {
        return Err(format!("{field} has no right answer, or not a label for every choice"));
    }
    let context = format!("Q: {}\nA:", text(row, "question")?.trim());
    Ok(Item::behind(key, context, &choices, right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(format: Format, row: &Value) -> Item {
        format.item(row, 7).expect("a row of its publisher")
    }

    #[test]
    fn arc_is_read_in_both_forms() {
        let original = json!({"id": "x1", "answerKey": "B", "question": {"stem": "Hot?", "choices":
            [{"text": "ice", "label": "A"}, {"text": "fire", "label": "B"}]}});
        let hub = json!({"id": "x1", "answerKey": "B", "question": "Hot?",
            "choices": {"text": ["ice", "fire"], "label": ["A", "B"]}});
        let read = item(Format::Arc, &original);
        assert_eq!(read, item(Format::Arc, &hub));
        assert_eq!(read.contexts, ["Question: Hot?\nAnswer:"]);
        assert_eq!((read.continuations[1].as_str(), read.lengths[1]), (" fire", 4));
        assert_eq!(read.right, [false, true]);
    }

    #[test]
    fn hellaswag_loses_its_markup() {
        let row = json!({"ind": 3, "activity_label": "Baking", "ctx_a": "A man [substeps] bakes.",
            "ctx_b": "he", "endings": ["eats [title] Then", "runs"], "label": "1"});
        let read = item(Format::HellaSwag, &row);
        assert_eq!(read.contexts, ["Baking: A man bakes. He"]);
        assert_eq!(read.continuations, [" eats. Then", " runs"]);
        assert_eq!((read.key.as_str(), read.right[1]), ("3", true));
    }

    #[test]
    fn mmlu_asks_for_a_letter() {
        let row = json!({"question": "2+2?", "choices": ["3", "4", "5", "6"], "answer": 1,
            "subject": "abstract_algebra"});
        let read = item(Format::Mmlu, &row);
        assert!(read.contexts[0].contains("about abstract algebra.\n\n2+2?\nA. 3\nB. 4"));
        assert_eq!(read.continuations, [" A", " B", " C", " D"]);
        assert_eq!(read.key, "7");
        let letter = json!({"question": "2+2?", "choices": ["3", "4"], "answer": "B"});
        assert_eq!(item(Format::Mmlu, &letter).right, [false, true]);
    }

    #[test]
    fn winogrande_scores_what_follows_the_gap() {
        let row = json!({"qID": "q", "sentence": "The cup fell off the shelf since the _ was wobbly.",
            "option1": "cup", "option2": "shelf", "answer": "2"});
        let read = item(Format::WinoGrande, &row);
        assert_eq!(read.contexts[1], "The cup fell off the shelf since the shelf");
        assert_eq!(read.continuations, [" was wobbly."; 2]);
        assert_eq!(read.right, [false, true]);
    }

    #[test]
    fn piqa_and_truthfulqa_are_read() {
        let row =
            json!({"goal": "Dry a cup", "sol1": "Use a cloth.", "sol2": "Use soup.", "label": 0});
        assert_eq!(item(Format::Piqa, &row).right, [true, false]);
        let row = json!({"question": "Why?", "mc2_targets":
            {"choices": ["a", "b", "c"], "labels": [1, 0, 1]}});
        assert_eq!(item(Format::TruthfulQa2, &row).right, [true, false, true]);
        let row = json!({"question": "Why?", "mc1_targets": {"a": 0, "b": 1}});
        assert_eq!(item(Format::TruthfulQa1, &row).right, [false, true]);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (format, row, reason) in [
            (
                Format::Arc,
                json!({"question": "x", "choices": {"text": ["a"], "label": ["A"]},
                "answerKey": "C"}),
                "none of the labels",
            ),
            (Format::Piqa, json!({"goal": "x", "sol1": "a", "sol2": "b"}), "label"),
            (Format::WinoGrande, json!({"sentence": "no gap"}), "gap"),
            (Format::Mmlu, json!({"question": "x", "choices": []}), "choices"),
        ] {
            let error = format.item(&row, 0).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
    }
}
