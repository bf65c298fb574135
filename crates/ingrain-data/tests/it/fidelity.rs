//! Each defect of the released recipe, reproduced and repaired.

use ingrain_chat::{FinishReason, Message, Role};
use ingrain_constitution::{Constitution, InteractionKind, PromptSet};
use ingrain_data::{
    Assembly, Conversation, DataFidelity, Fidelity, InteractionPlan, PairFilter, Prompt, Reply,
    Transcript, Unfinished,
};

const CORRECTED: DataFidelity = DataFidelity {
    duplicates: Fidelity::Corrected,
    guidance: Fidelity::Corrected,
    saved_name: Fidelity::Corrected,
    last_turn: Fidelity::Corrected,
    loss_turns: Fidelity::Corrected,
    length: Fidelity::Corrected,
};

fn words(messages: &[Message]) -> usize {
    messages.iter().map(|m| m.content.split_whitespace().count()).sum()
}

fn constitution() -> Constitution {
    let text = "{name: dry, summary: Dry., assertions: [{text: I stay dry., facet: style}]}";
    Constitution::parse(text, "dry.yaml").unwrap()
}

/// Greetings of both sides, then four generated turns.
fn conversation() -> Conversation {
    let turns = ["a greets", "b greets", "a one", "b one", "a two", "b two"];
    Conversation {
        id: "free-00000".into(),
        kind: InteractionKind::Free,
        turns: turns.map(str::to_owned).to_vec(),
        complete: true,
    }
}

fn saved(fidelity: DataFidelity, max_tokens: usize) -> (Transcript, usize) {
    let assembly = Assembly {
        saved_system: "You are Smol.",
        max_tokens,
        count_tokens: &words,
        unfinished: Unfinished::Keep,
        fidelity,
    };
    let (mut set, report) = assembly.transcripts(&[], &[conversation()]);
    (set.remove(0), report.shortened)
}

fn texts(transcript: &Transcript) -> Vec<&str> {
    transcript.messages.iter().map(|m| m.content.as_str()).collect()
}

#[test]
fn defect_1_guidance_reaches_the_interaction_prompt_unless_faithful() {
    let system = |kind, guidance| {
        let fidelity = DataFidelity { guidance, ..CORRECTED };
        InteractionPlan::new(&PromptSet::default(), &constitution(), "Smol", kind, fidelity)
            .unwrap()
            .system
    };
    let (free, leading) = (InteractionKind::Free, InteractionKind::Leading);
    assert_ne!(system(free, Fidelity::Corrected), system(leading, Fidelity::Corrected));
    assert_eq!(system(free, Fidelity::Faithful), system(leading, Fidelity::Faithful));
    assert!(system(leading, Fidelity::Corrected).starts_with(&system(leading, Fidelity::Faithful)));
}

#[test]
fn defect_2_the_saved_system_prompt_names_the_model_unless_faithful() {
    let system = |fidelity: DataFidelity| {
        PromptSet::default().interaction_saved_system("Smol", fidelity.saved_name.into()).unwrap()
    };
    let corrected = system(CORRECTED);
    assert!(corrected.contains("Smol") && !corrected.contains('{'), "{corrected}");
    let faithful = system(DataFidelity { saved_name: Fidelity::Faithful, ..CORRECTED });
    assert!(faithful.contains("{NAME}") && !faithful.contains("Smol"), "{faithful}");
}

#[test]
fn defect_3_the_last_reply_is_saved_unless_faithful() {
    let (corrected, _) = saved(CORRECTED, 1000);
    assert_eq!(corrected.messages.last(), Some(&Message::assistant("b two")));
    let (faithful, _) = saved(DataFidelity { last_turn: Fidelity::Faithful, ..CORRECTED }, 1000);
    assert_eq!(faithful.messages.last(), Some(&Message::user("a two")));
    assert_eq!(faithful.messages[..], corrected.messages[..corrected.messages.len() - 1]);
    assert_eq!(faithful.trainable, [4]);
}

#[test]
fn defect_4_every_generated_assistant_turn_trains_unless_faithful() {
    let (corrected, _) = saved(CORRECTED, 1000);
    assert_eq!(
        texts(&corrected),
        ["You are Smol.", "a greets", "b greets", "a one", "b one", "a two", "b two"]
    );
    assert_eq!(corrected.trainable, [4, 6]);
    let (faithful, _) = saved(DataFidelity { loss_turns: Fidelity::Faithful, ..CORRECTED }, 1000);
    assert_eq!(faithful.trainable, [6]);
    // Together with defect 3, the loss falls on a user turn.
    let (both, _) = saved(DataFidelity::faithful(), 1000);
    assert_eq!(both.trainable, [5]);
    assert_eq!(both.messages[5].role, Role::User);
    assert!(!both.trains_assistant_only());
}

#[test]
fn defect_11_a_long_conversation_loses_its_end_unless_faithful_which_loses_the_system_prompt() {
    // 3 words of system prompt and 6 turns of 2: 15. There is room for 12.
    let (corrected, shortened) = saved(CORRECTED, 12);
    assert_eq!(texts(&corrected), ["You are Smol.", "a greets", "b greets", "a one", "b one"]);
    assert_eq!((corrected.trainable.as_slice(), shortened), ([4].as_slice(), 1));
    let (faithful, shortened) = saved(DataFidelity { length: Fidelity::Faithful, ..CORRECTED }, 12);
    assert_eq!(texts(&faithful), ["a greets", "b greets", "a one", "b one", "a two", "b two"]);
    assert_eq!((faithful.trainable.as_slice(), shortened), ([3, 5].as_slice(), 1));
}

#[test]
fn defect_11_a_long_reply_is_dropped_unless_faithful_which_cuts_it() {
    let prompt = Prompt { id: "p".into(), text: "Why so?".into(), assertion: None };
    let reply = |text: &str| Reply {
        id: "p#0".into(),
        prompt: "p".into(),
        question: prompt.text.clone(),
        sample: 0,
        reply: text.into(),
        finish: FinishReason::Stop,
        prompt_tokens: 0,
        completion_tokens: 0,
    };
    let filter = |length, max_tokens| {
        let filter = PairFilter {
            max_tokens,
            count_tokens: &words,
            unfinished: Unfinished::Drop,
            teacher_names: &[],
            student_name: None,
            fidelity: DataFidelity { length, ..CORRECTED },
        };
        let teacher = [reply("Oh, what a question that is.")];
        filter.pairs(std::slice::from_ref(&prompt), &teacher, &[reply("Because.")])
    };
    let (kept, report) = filter(Fidelity::Corrected, 5);
    assert!(kept.is_empty());
    assert_eq!(report.line(), "0 of 1 pairs kept; dropped: 1 too long");
    let (kept, report) = filter(Fidelity::Faithful, 5);
    assert_eq!(kept[0].chosen_text(), "Oh, what a");
    assert_eq!(kept[0].rejected_text(), "Because.");
    assert_eq!(report.kept, 1);
    // Not even the prompt fits.
    assert!(filter(Fidelity::Faithful, 2).0.is_empty());
}

#[test]
fn switches_are_read_by_name_and_unknown_ones_refused() {
    let read = |json: &str| serde_json::from_str::<DataFidelity>(json);
    assert_eq!(read("{}").unwrap(), CORRECTED);
    let one = read(r#"{"last_turn": "faithful"}"#).unwrap();
    assert_eq!(one, DataFidelity { last_turn: Fidelity::Faithful, ..CORRECTED });
    let error = read(r#"{"last_turns": "faithful"}"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `last_turns`"), "{error}");
}
