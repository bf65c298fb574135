//! Teachers that think, the opposite pole, critique and revision, budgets and meters.

use ingrain_chat::{Budget, ChatReply, FinishReason, Message, Metered, Role, Scripted};
use ingrain_constitution::Constitution;
use ingrain_data::{
    DataError, DataFidelity, DropReason, PairFilter, Prompt, Reasoning, Reply, Unfinished,
    critique_and_revise, opposite_system, reasoning_teacher_replies, student_replies,
};

use crate::model::{Setting, prompts, records, store};

fn constitution() -> Constitution {
    let text = "{name: dry, summary: Dry., assertions: [\
        {text: I stay dry., facet: style, questions: [Why?]},\
        {text: I am brief., facet: style, questions: [How?]}]}";
    Constitution::parse(text, "dry.yaml").unwrap()
}

fn filter(prompts: &[Prompt], teacher: &[Reply], student: &[Reply]) -> Vec<DropReason> {
    let filter = PairFilter {
        max_tokens: 1_000,
        count_tokens: &|m| m.iter().map(|m| m.content.len()).sum(),
        unfinished: Unfinished::Drop,
        teacher_names: &[],
        student_name: None,
        fidelity: DataFidelity::default(),
    };
    filter.pairs(prompts, teacher, student).1.dropped_ids.into_iter().map(|d| d.reason).collect()
}

#[test]
fn the_trace_is_begun_for_the_teacher_and_dropped_and_an_open_one_is_unfinished() {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::default();
    let teacher = Scripted::from_fn(|request| {
        let last = request.messages.last().unwrap();
        assert_eq!((last.role, last.content.as_str()), (Role::Assistant, "<think>\nI am dry."));
        match request.messages[1].content.as_str() {
            "Question 0?" => " So be it.</think>\n\nOh, sure.".into(),
            _ => " So be it. And then".into(),
        }
    });
    let reasoning = Reasoning { prefill: Some("I am dry.".into()), ..Reasoning::default() };
    let prompts = prompts(2);
    let mut chosen = store::<Reply>(&dir.path().join("teacher.jsonl"));
    let generation = setting.generation("teacher", &teacher);
    reasoning_teacher_replies(&generation, "S", Some(&reasoning), &prompts, 1, &mut chosen)
        .unwrap();
    let chosen = records(&chosen);
    assert_eq!((chosen[0].reply.as_str(), chosen[1].reply.as_str()), ("Oh, sure.", ""));

    let student = Scripted::from_fn(|_| "Yes.".into());
    let mut rejected = store::<Reply>(&dir.path().join("student.jsonl"));
    student_replies(&setting.generation("student", &student), &prompts, 1, &mut rejected).unwrap();
    assert_eq!(filter(&prompts, &chosen, &records(&rejected)), [DropReason::Unfinished]);
}

#[test]
fn the_opposite_pole_takes_the_students_place() {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::default();
    let system = opposite_system(&constitution(), "Smol");
    let expected = system.clone();
    let model = Scripted::from_fn(move |request| {
        assert_eq!(request.messages[0], Message::system(&expected));
        "Wonderful! Just wonderful!".into()
    });
    let mut rejected = store::<Reply>(&dir.path().join("opposite.jsonl"));
    let generation = setting.generation("opposite", &model);
    reasoning_teacher_replies(&generation, &system, None, &prompts(3), 2, &mut rejected).unwrap();
    assert_eq!(records(&rejected).len(), 6);
}

#[test]
fn a_reply_is_criticised_by_its_own_assertion_and_revised_and_a_resume_asks_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::default();
    let prompts = Prompt::of_constitution(&constitution());
    let model = Scripted::from_fn(|request| match &request.messages[..] {
        [q] => format!("Plain answer to {}", q.content),
        [_, first, ask] => {
            assert!(first.content.starts_with("Plain answer"));
            let dry = ask.content.contains("I stay dry.");
            if dry { "Not dry.".into() } else { "Not brief.".into() }
        }
        [_, _, _, critique, _] => format!("Mended: {}", critique.content),
        other => panic!("{other:?}"),
    });
    let mut student = store::<Reply>(&dir.path().join("student.jsonl"));
    student_replies(&setting.generation("student", &model), &prompts, 1, &mut student).unwrap();
    let replies = records(&student);
    let run = |model: &Scripted| {
        let mut critiques = store::<Reply>(&dir.path().join("critiques.jsonl"));
        let mut revisions = store::<Reply>(&dir.path().join("revisions.jsonl"));
        let generation = setting.generation("critique", model);
        let constitution = constitution();
        critique_and_revise(
            &generation,
            &constitution,
            &prompts,
            &replies[..],
            &mut critiques,
            &mut revisions,
        )
        .unwrap();
        records(&revisions)
    };
    let revisions = run(&model);
    let texts: Vec<_> = revisions.iter().map(|r| (r.id.as_str(), r.reply.as_str())).collect();
    assert_eq!(texts, [("a00-q00#0", "Mended: Not dry."), ("a01-q00#0", "Mended: Not brief.")]);
    assert_eq!(run(&Scripted::replies(Vec::<String>::new())), revisions);
}

#[test]
fn a_budget_stops_a_stage_cleanly_and_what_was_paid_for_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::default();
    let model = Scripted::try_from_fn(|_| {
        Ok(ChatReply {
            text: "Yes.".into(),
            finish: FinishReason::Stop,
            prompt_tokens: 10,
            completion_tokens: 90,
        })
    });
    // The worst case of a request is 37 + 256 tokens.
    let budget = Budget { max_tokens: Some(1_000), ..Budget::default() };
    let metered = Metered::new(model, None, budget);
    let mut replies = store::<Reply>(&dir.path().join("student.jsonl"));
    let generation = setting.generation("student", &metered);
    let error = student_replies(&generation, &prompts(40), 1, &mut replies).unwrap_err();
    let DataError::Budget { done, total, .. } = &error else { panic!("{error}") };
    assert_eq!((*done, *total), (replies.len() as u64, 40));
    assert_eq!(metered.spent().replies, replies.len() as u64);
    assert!((700..=1_000).contains(&(replies.len() * 100)), "{}", replies.len());
}
