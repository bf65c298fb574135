//! YAML in the guides is what it is said to be: recipes, servers, rubrics.

use std::fs;

use ingrain::Recipe;
use ingrain::chat::openai::OpenAiConfig;
use ingrain::constitution::Constitution;
use ingrain::judge::RubricFile;

use crate::bench::root;

/// Every YAML block of the guides, with its place.
fn blocks() -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    for entry in fs::read_dir(root().join("docs")).expect("docs/ is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|ending| ending != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a guide");
        for (number, block) in text.split("```yaml\n").skip(1).enumerate() {
            let block = block.split("```").next().unwrap_or_default().to_owned();
            blocks.push((format!("{}, block {}", path.display(), number + 1), block));
        }
    }
    blocks
}

#[test]
fn every_yaml_block_of_the_guides_is_read_by_the_type_that_it_is_for() {
    let has = |block: &str, key: &str| block.lines().any(|line| line.starts_with(key));
    let (mut recipes, mut servers) = (0, 0);
    for (place, block) in blocks() {
        let wrong = if has(&block, "endpoints:") {
            servers += 1;
            serde_yaml::from_str::<OpenAiConfig>(&block).err().map(|error| error.to_string())
        } else if has(&block, "assertions:") {
            // The guide also shows what is wrong with a file, and parts of one.
            continue;
        } else if has(&block, "instructions:") {
            RubricFile::parse(&block, &place).err().map(|error| error.to_string())
        } else if ["distillation:", "introspection:", "monitor:", "fidelity:", "data:"]
            .iter()
            .any(|key| has(&block, key))
        {
            recipes += 1;
            Recipe::parse(&block, &place).err().map(|error| error.to_string())
        } else {
            continue;
        };
        assert_eq!(wrong, None, "{place}\n{block}");
    }
    assert!(recipes >= 4 && servers >= 5, "{recipes} recipes, {servers} servers");
}

#[test]
fn the_constitution_that_the_guide_begins_with_is_valid() {
    let (place, block) = blocks()
        .into_iter()
        .find(|(place, block)| {
            place.contains("constitutions.md") && block.contains("name: dry-wit")
        })
        .expect("the guide shows one");
    let constitution = Constitution::parse(&block, &place).expect("valid");
    assert_eq!(constitution.name.as_str(), "dry-wit");
}
