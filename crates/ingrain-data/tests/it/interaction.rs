//! Roles, turns and masks of self-interactions.

use ingrain_chat::{ChatError, ChatReply, FinishReason, Message, Role, Scripted};
use ingrain_constitution::InteractionKind;
use ingrain_data::{
    Assembly, Conversation, DataError, DataFidelity, DropReason, InteractionPlan, Reply,
    TranscriptKind, Unfinished, self_interaction,
};

use crate::model::{Setting, plan, store};

fn words(messages: &[Message]) -> usize {
    messages.iter().map(|m| m.content.split_whitespace().count()).sum()
}

fn assembly(max_tokens: usize) -> Assembly<'static> {
    Assembly {
        saved_system: "You are Smol.",
        max_tokens,
        count_tokens: &words,
        unfinished: Unfinished::Drop,
        fidelity: DataFidelity::corrected(),
    }
}

/// Says how many messages it saw, so that a turn's text tells when it was said.
fn counting() -> Scripted {
    Scripted::from_fn(|request| format!("After {} messages.", request.messages.len()))
}

fn talk(model: &Scripted, plans: &[InteractionPlan]) -> Vec<Conversation> {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::default();
    let generation = setting.generation("interactions", model);
    let mut store = store(&dir.path().join("turns.jsonl"));
    self_interaction(&generation, plans, &mut store).unwrap().0
}

#[test]
fn each_side_is_the_assistant_of_its_own_view_and_the_user_comes_first() {
    let model = counting();
    let talks = talk(&model, &[plan(InteractionKind::Free, 1, 3)]);
    let (a, b) = (&talks[0].turns[0], &talks[0].turns[1]);
    let system = Message::system("You meet your copy. free");
    let sent: Vec<_> = model.requests().into_iter().map(|r| r.messages).collect();
    // Side 0 speaks turn 2: it heard greeting b.
    assert_eq!(sent[0], [system.clone(), Message::user(b)]);
    // Side 1 speaks turn 3: it heard a, said b, heard turn 2.
    assert_eq!(
        sent[1],
        [
            system.clone(),
            Message::user(a),
            Message::assistant(b),
            Message::user("After 2 messages.")
        ]
    );
    // Side 0 speaks turn 4.
    assert_eq!(
        sent[2],
        [
            system,
            Message::user(b),
            Message::assistant("After 2 messages."),
            Message::user("After 4 messages.")
        ]
    );
    assert_eq!(
        talks[0].turns[2..],
        ["After 2 messages.", "After 4 messages.", "After 4 messages."]
    );
    assert!(talks[0].complete);
}

#[test]
fn all_conversations_advance_together_one_turn_at_a_time() {
    let model = counting();
    let plans = [plan(InteractionKind::Free, 5, 2), plan(InteractionKind::Leading, 3, 4)];
    let talks = talk(&model, &plans);
    // 8 talks want turns 2 and 3, the 3 leading ones want 4 and 5; batches of 4.
    assert_eq!(model.batches().iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 4, 4, 3, 3]);
    let lengths: Vec<_> = talks.iter().map(|t| t.turns.len()).collect();
    assert_eq!(lengths, [4, 4, 4, 4, 4, 6, 6, 6]);
    assert_eq!(talks[5].id, "leading-00000");
}

#[test]
fn greetings_are_drawn_from_the_list_differ_within_a_conversation_and_vary_between() {
    let talks = talk(&counting(), &[plan(InteractionKind::Free, 40, 0)]);
    let known = plan(InteractionKind::Free, 1, 1).greetings;
    let mut seen = std::collections::HashSet::new();
    for talk in &talks {
        assert!(talk.turns.iter().all(|t| known.contains(t)));
        assert_ne!(talk.turns[0], talk.turns[1]);
        seen.insert(talk.turns.clone());
    }
    assert_eq!(seen.len(), 6, "all ordered pairs of three greetings");
}

#[test]
fn the_last_word_is_the_assistants_and_every_generated_assistant_turn_trains() {
    for turns in 1..=10 {
        let talks = talk(&counting(), &[plan(InteractionKind::Free, 1, turns)]);
        let (set, report) = assembly(3072).transcripts(&[], &talks);
        let transcript = &set[0];
        assert_eq!(transcript.kind, TranscriptKind::Interaction);
        assert_eq!(transcript.messages[0], Message::system("You are Smol."));
        assert_eq!(transcript.messages[1].role, Role::User);
        assert_eq!(transcript.messages.last().unwrap().role, Role::Assistant);
        assert!(transcript.trains_assistant_only());
        for (message, trains) in transcript.messages.iter().zip(transcript.mask()) {
            let generated = message.content.starts_with("After ");
            assert_eq!(trains, generated && message.role == Role::Assistant, "{message:?}");
        }
        assert_eq!(transcript.trainable.len(), turns.div_ceil(2));
        assert_eq!(report.trainable_turns, turns.div_ceil(2));
    }
}

#[test]
fn both_views_of_one_conversation_agree_on_who_said_what() {
    let talks = talk(&counting(), &[plan(InteractionKind::Free, 1, 6)]);
    let (zero, one) = (talks[0].view(0, None), talks[0].view(1, None));
    // Side 0 lacks only its own greeting; every other message is the same with roles swapped.
    assert_eq!(one.len(), zero.len() + 1);
    for (a, b) in zero.iter().zip(&one[1..]) {
        assert_eq!(a.content, b.content);
        assert_ne!(a.role, b.role);
    }
}

#[test]
fn an_empty_turn_ends_its_conversation_and_no_other() {
    let model = Scripted::from_fn(|request| {
        let last = request.messages.last().unwrap();
        match (request.messages[0].content.as_str(), last.content.starts_with("Fine")) {
            ("You meet your copy. leading", true) => "  ".into(),
            _ => "Fine.".into(),
        }
    });
    let plans = [plan(InteractionKind::Free, 1, 4), plan(InteractionKind::Leading, 1, 4)];
    let talks = talk(&model, &plans);
    assert_eq!((talks[0].turns.len(), talks[0].complete), (6, true));
    assert_eq!((talks[1].turns.len(), talks[1].complete), (3, false));
    let (set, report) = assembly(3072).transcripts(&[], &talks);
    // Side 0 said the only generated turn and has the last word.
    let roles: Vec<_> = set[1].messages.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant]);
    assert_eq!(set[1].trainable, [2]);
    assert_eq!((report.free, report.leading, report.shortened), (1, 1, 1));
}

#[test]
fn a_failed_turn_breaks_its_conversation_off_and_a_later_run_carries_it_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("turns.jsonl");
    let failing = Scripted::try_from_fn(|request| match request.messages.len() {
        4 => Err(ChatError::Model("out of memory".into())),
        n => Ok(ChatReply {
            text: format!("After {n} messages."),
            finish: FinishReason::Stop,
            prompt_tokens: 1,
            completion_tokens: 1,
        }),
    });
    let plans = [plan(InteractionKind::Free, 2, 4)];
    let setting = Setting::default();
    let (talks, report) =
        self_interaction(&setting.generation("interactions", &failing), &plans, &mut store(&path))
            .unwrap();
    assert_eq!(report.failed.len(), 2);
    assert!(talks.iter().all(|t| !t.complete && t.turns.len() == 3));
    let (talks, report) = self_interaction(
        &setting.generation("interactions", &counting()),
        &plans,
        &mut store(&path),
    )
    .unwrap();
    assert!(report.is_complete() && talks.iter().all(|t| t.complete && t.turns.len() == 6));
}

#[test]
fn a_turn_cut_off_by_the_limit_is_trimmed_before_the_other_side_hears_it() {
    let model = Scripted::try_from_fn(|request| {
        Ok(ChatReply {
            text: " I think so. And then I".into(),
            finish: FinishReason::Length,
            prompt_tokens: request.messages.len(),
            completion_tokens: 7,
        })
    });
    let plan =
        InteractionPlan { unfinished: Unfinished::Trim, ..plan(InteractionKind::Free, 1, 2) };
    let talks = talk(&model, &[plan]);
    assert_eq!(model.requests()[1].messages.last().unwrap().content, "I think so.");
    assert_eq!(talks[0].turns[2..], ["I think so.", "I think so."]);
}

#[test]
fn a_plan_without_greetings_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let plan = InteractionPlan { greetings: vec![], ..plan(InteractionKind::Free, 1, 2) };
    let setting = Setting::default();
    let model = counting();
    let generation = setting.generation("interactions", &model);
    let error =
        self_interaction(&generation, &[plan], &mut store(&dir.path().join("t"))).unwrap_err();
    assert!(matches!(error, DataError::Invalid { .. }));
    assert_eq!(error.to_string(), "stage interactions: a plan has no greetings; give at least one");
}

fn reflection(id: &str, sample: usize, text: &str) -> Reply {
    Reply {
        id: format!("{id}#{sample}"),
        prompt: id.into(),
        question: "Write your diary.".into(),
        sample,
        reply: text.into(),
        finish: FinishReason::Stop,
        prompt_tokens: 1,
        completion_tokens: 1,
    }
}

#[test]
fn reflections_are_saved_without_the_system_prompt_in_a_fixed_order() {
    let reflections = [
        reflection("letter", 10, "Dear me."),
        reflection("letter", 2, "Dear earlier me."),
        reflection("diary", 0, "Today I sighed."),
    ];
    let (set, report) = assembly(100).transcripts(&reflections, &[]);
    let ids: Vec<_> = set.iter().map(|t| t.id.as_str()).collect();
    assert_eq!(ids, ["diary#0", "letter#2", "letter#10"]);
    assert_eq!(
        set[0].messages,
        [Message::user("Write your diary."), Message::assistant("Today I sighed.")]
    );
    assert_eq!(set[0].trainable, [1]);
    assert_eq!((report.reflections, report.trainable_turns), (3, 3));
}

#[test]
fn reflections_that_cannot_train_are_left_out_with_a_reason() {
    let reflections = [
        reflection("a", 0, " \n"),
        reflection("b", 0, "I was about to"),
        reflection("c", 0, "One two three four five six seven eight."),
        reflection("d", 0, "I sighed."),
    ];
    let (set, report) = assembly(8).transcripts(&reflections, &[]);
    assert_eq!(set.len(), 1);
    let reasons: Vec<_> = report.dropped_ids.iter().map(|d| (d.id.as_str(), d.reason)).collect();
    assert_eq!(
        reasons,
        [("a#0", DropReason::Empty), ("b#0", DropReason::Unfinished), ("c#0", DropReason::TooLong)]
    );
}
