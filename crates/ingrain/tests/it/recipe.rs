use ingrain::{Recipe, ReplySource};

use crate::tiny;

#[test]
fn built_in_recipes_are_valid_and_paper_has_the_papers_numbers() {
    let paper = Recipe::named_or_file("paper").expect("valid");
    assert_eq!((paper.lora.rank, paper.lora.alpha), (64, 128.0));
    assert_eq!(paper.distillation.training.learning_rate, 5e-5);
    assert_eq!(paper.distillation.training.batch_size, 32);
    assert_eq!(paper.distillation.beta, 0.1);
    assert_eq!(paper.introspection.reflections_per_task, 1000);
    assert_eq!(paper.introspection.sft.max_length, 3072);
    assert_eq!((paper.merge.distillation, paper.merge.introspection), (1.0, 0.25));
    let weights: Vec<(&str, f64)> =
        paper.distillation.losses.iter().map(|l| (l.name(), l.weight())).collect();
    assert_eq!(weights, [("dpo", 1.0), ("nll", 0.1), ("squared_log_ratio", 0.001)]);
    Recipe::named_or_file("quick").expect("valid");
}

#[test]
fn a_resolved_recipe_reads_back_as_itself() {
    for name in ["quick", "paper"] {
        let recipe = Recipe::named_or_file(name).expect("valid");
        let again = Recipe::parse(&recipe.to_yaml().expect("YAML"), "again.yaml").expect("valid");
        assert_eq!(recipe.to_yaml().expect("YAML"), again.to_yaml().expect("YAML"));
    }
}

#[test]
fn an_unknown_key_and_a_bad_value_are_named() {
    let message = |text: &str| Recipe::parse(text, "my.yaml").expect_err("wrong").to_string();
    let unknown = message("lora:\n  rnk: 3\n");
    assert!(unknown.contains("my.yaml") && unknown.contains("rnk"), "{unknown}");
    assert!(unknown.contains('2'), "names the line: {unknown}");
    let zero = message("data: {samples_per_question: 0}");
    assert!(zero.contains("data.samples_per_question"), "{zero}");
    let module = message("lora: {target_modules: [q_prj]}");
    assert!(module.contains("q_prj") && module.contains("q_proj"), "{module}");
    let missing = Recipe::named_or_file("no-such.yaml").expect_err("missing").to_string();
    assert!(missing.contains("no-such.yaml") && missing.contains("quick"), "{missing}");
}

#[test]
fn the_recipes_of_the_results_are_valid() {
    let read = |name: &str| {
        let path = tiny::fixture("../docs/results").join(name);
        Recipe::named_or_file(&path.display().to_string()).expect("valid")
    };
    read("compare.yaml");
    let data = read("data-llama-cpp.yaml").data;
    assert!(matches!(data.teacher_source, Some(ReplySource::Endpoint(_))));
    assert_eq!(data.teacher_source, data.student_source);
}
