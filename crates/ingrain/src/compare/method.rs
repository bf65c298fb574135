//! The ways of training that can be compared.

use std::fmt;
use std::str::FromStr;

use ingrain_dpo::{Bco, Kto, LossSpec, UnpairedLoss};
use serde::{Deserialize, Serialize};

use crate::{IntrospectionAuthor, IntrospectionTexts, PipelineError};

/// A way of training on the pairs of a persona.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// Cross-entropy on the chosen replies alone.
    Sft,
    /// The recipe's own objective.
    Dpo,
    /// DPO without the recipe's other terms.
    PlainDpo,
    /// [`ingrain_dpo::Ipo`]
    Ipo,
    /// [`ingrain_dpo::Hinge`]
    Hinge,
    /// [`ingrain_dpo::ApoZero`]
    ApoZero,
    /// [`ingrain_dpo::Orpo`]
    Orpo,
    /// [`ingrain_dpo::SimPo`]
    Simpo,
    /// [`ingrain_dpo::Cpo`]
    Cpo,
    /// [`ingrain_dpo::Kto`] on the pairs' replies one by one.
    Kto,
    /// [`ingrain_dpo::Bco`] on the pairs' replies one by one.
    Bco,
    /// The student answers the pairs' questions, its constitution-prompted self scores each token.
    OnPolicy,
    /// Cross-entropy on the model's own replies, criticised and revised by the constitution.
    CritiqueSft,
    /// The recipe's objective, then introspection: the whole method.
    Introspection,
    /// The same with reflections only.
    ReflectionsOnly,
    /// The same with conversations only.
    InteractionsOnly,
    /// The same with texts by the constitution-prompted base model.
    FromBase,
    /// The same with texts by the constitution-prompted teacher.
    FromTeacher,
}

/// What a method trains on and how.
pub(super) enum Kind {
    Preference(Vec<LossSpec>),
    Unpaired(UnpairedLoss),
    Sft,
    CritiqueSft,
    OnPolicy,
    Introspection(IntrospectionTexts),
    OtherAuthor(IntrospectionAuthor),
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Sft,
        Self::Dpo,
        Self::PlainDpo,
        Self::Ipo,
        Self::Hinge,
        Self::ApoZero,
        Self::Orpo,
        Self::Simpo,
        Self::Cpo,
        Self::Kto,
        Self::Bco,
        Self::OnPolicy,
        Self::CritiqueSft,
        Self::Introspection,
        Self::ReflectionsOnly,
        Self::InteractionsOnly,
        Self::FromBase,
        Self::FromTeacher,
    ];

    /// Name in tables and on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::Dpo => "dpo",
            Self::PlainDpo => "plain_dpo",
            Self::Ipo => "ipo",
            Self::Hinge => "hinge",
            Self::ApoZero => "apo_zero",
            Self::Orpo => "orpo",
            Self::Simpo => "simpo",
            Self::Cpo => "cpo",
            Self::Kto => "kto",
            Self::Bco => "bco",
            Self::OnPolicy => "on_policy",
            Self::CritiqueSft => "critique_sft",
            Self::Introspection => "introspection",
            Self::ReflectionsOnly => "reflections_only",
            Self::InteractionsOnly => "interactions_only",
            Self::FromBase => "from_base",
            Self::FromTeacher => "from_teacher",
        }
    }

    /// `recipe` is the recipe's own objective.
    pub(super) fn kind(self, recipe: &[LossSpec]) -> Kind {
        use ingrain_dpo::Term;
        let alone = |loss: LossSpec| Kind::Preference(vec![loss]);
        match self {
            Self::Sft => Kind::Sft,
            Self::Dpo => Kind::Preference(recipe.to_vec()),
            Self::PlainDpo => alone(LossSpec::Dpo(Term::with_defaults(1.0))),
            Self::Ipo => alone(LossSpec::Ipo(Term::with_defaults(1.0))),
            Self::Hinge => alone(LossSpec::Hinge(Term::with_defaults(1.0))),
            Self::ApoZero => alone(LossSpec::ApoZero(Term::with_defaults(1.0))),
            Self::Orpo => alone(LossSpec::Orpo(Term::with_defaults(1.0))),
            Self::Simpo => alone(LossSpec::SimPo(Term::with_defaults(1.0))),
            Self::Cpo => alone(LossSpec::Cpo(Term::with_defaults(1.0))),
            Self::Kto => Kind::Unpaired(UnpairedLoss::Kto(Kto::default())),
            Self::Bco => Kind::Unpaired(UnpairedLoss::Bco(Bco::default())),
            Self::OnPolicy => Kind::OnPolicy,
            Self::CritiqueSft => Kind::CritiqueSft,
            Self::Introspection => Kind::Introspection(IntrospectionTexts::Both),
            Self::ReflectionsOnly => Kind::Introspection(IntrospectionTexts::Reflections),
            Self::InteractionsOnly => Kind::Introspection(IntrospectionTexts::Interactions),
            Self::FromBase => Kind::OtherAuthor(IntrospectionAuthor::Base),
            Self::FromTeacher => Kind::OtherAuthor(IntrospectionAuthor::Teacher),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = PipelineError;

    fn from_str(name: &str) -> Result<Self, PipelineError> {
        Self::ALL.into_iter().find(|method| method.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            PipelineError::Recipe {
                path: "methods".into(),
                reason: format!("unknown method {name:?}; expected some of {known}"),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_its_own_and_the_one_in_files() {
        for method in Method::ALL {
            assert_eq!(method.name().parse::<Method>().expect("known"), method);
            let json = serde_json::to_string(&method).expect("JSON");
            assert_eq!(json, format!("\"{method}\""));
        }
        let error = "dpoo".parse::<Method>().expect_err("unknown").to_string();
        assert!(error.contains("\"dpoo\"; expected some of sft, dpo,"), "{error}");
    }
}
