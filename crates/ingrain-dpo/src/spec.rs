//! Objectives as data: how a recipe file writes a weighted sum of losses.

use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{
    ApoDown, ApoZero, Cpo, Dpo, DpoError, Dpop, Exo, Hinge, Ipo, K1, K2, K3, Kl, Nll, Orpo,
    PreferenceLoss, SimPo, SquaredLogRatio, WeightedSum, WeightedTerm,
};

/// One loss of a sum, with its weight.
///
/// In a file either a number, the weight, with the loss's defaults (`0.1`), or a map of the
/// loss's settings and `weight` (`{beta: 0.5, weight: 2.0}`; the weight is 1 if left out).
#[derive(Clone, Debug, PartialEq)]
pub struct Term<T> {
    /// Factor in the sum.
    pub weight: f64,
    /// The loss with its settings.
    pub loss: T,
    /// Whether there is a `beta` still to be filled in, because the file gave none.
    lacks_beta: bool,
}

impl<T> Term<T> {
    /// A term whose settings are all as given.
    #[must_use]
    pub fn new(weight: f64, loss: T) -> Self {
        Self { weight, loss, lacks_beta: false }
    }

    fn inherit_beta(&mut self, set: impl FnOnce(&mut T)) {
        if self.lacks_beta {
            set(&mut self.loss);
            self.lacks_beta = false;
        }
    }
}

impl<T: Default + Serialize> Term<T> {
    /// A term of this weight with the loss's defaults, and the objective's `beta` where the loss
    /// takes it.
    #[must_use]
    pub fn with_defaults(weight: f64) -> Self {
        let loss = T::default();
        let has_field = serde_json::to_value(&loss).is_ok_and(|v| v.get("beta").is_some());
        Self { weight, loss, lacks_beta: has_field }
    }
}

impl<T: Clone + PreferenceLoss + 'static> Term<T> {
    fn weighted(&self, name: &str) -> WeightedTerm {
        let loss = Box::new(self.loss.clone());
        WeightedTerm { name: name.to_owned(), weight: self.weight, loss }
    }
}

impl<'de, T: Default + Serialize + DeserializeOwned> Deserialize<'de> for Term<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrMap<T>(PhantomData<T>);

        impl<'de, T: Default + Serialize + DeserializeOwned> Visitor<'de> for NumberOrMap<T> {
            type Value = Term<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a weight, or a map of the loss's settings and its `weight`")
            }

            fn visit_f64<E>(self, weight: f64) -> Result<Term<T>, E> {
                Ok(Term::with_defaults(weight))
            }

            fn visit_i64<E: serde::de::Error>(self, weight: i64) -> Result<Term<T>, E> {
                self.visit_f64(weight as f64)
            }

            fn visit_u64<E: serde::de::Error>(self, weight: u64) -> Result<Term<T>, E> {
                self.visit_f64(weight as f64)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Term<T>, A::Error> {
                let mut settings: Map<String, Value> =
                    Map::deserialize(MapAccessDeserializer::new(map))?;
                let weight = match settings.remove("weight") {
                    None => 1.0,
                    Some(value) => value.as_f64().ok_or_else(|| {
                        A::Error::custom(format!("`weight` is {value}, expected a number"))
                    })?,
                };
                let mut term = Term::with_defaults(weight);
                term.lacks_beta &= !settings.contains_key("beta");
                term.loss = T::deserialize(Value::Object(settings)).map_err(A::Error::custom)?;
                Ok(term)
            }
        }

        deserializer.deserialize_any(NumberOrMap(PhantomData))
    }
}

impl<T: Serialize> Serialize for Term<T> {
    /// Always the map, with every setting written out.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(mut settings) =
            serde_json::to_value(&self.loss).map_err(serde::ser::Error::custom)?
        else {
            return Err(serde::ser::Error::custom("a loss must serialise as a map"));
        };
        settings.insert("weight".to_owned(), self.weight.into());
        settings.serialize(serializer)
    }
}

/// One line of an objective: the name of a loss, its weight and its settings.
///
/// # Examples
///
/// Both forms, in one objective:
///
/// ```
/// use ingrain_dpo::LossSpec;
///
/// let json = r#"[{"dpo": {"beta": 0.2, "weight": 1.0}}, {"nll": 0.1}, {"squared_log_ratio": 0.001}]"#;
/// let objective: Vec<LossSpec> = serde_json::from_str(json)?;
/// assert_eq!(objective[1].name(), "nll");
/// assert_eq!(objective[1].weight(), 0.1);
/// assert!(serde_json::from_str::<LossSpec>(r#"{"dpo": {"betta": 0.2}}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LossSpec {
    /// [`Dpo`]
    Dpo(Term<Dpo>),
    /// [`Ipo`]
    Ipo(Term<Ipo>),
    /// [`Hinge`]
    Hinge(Term<Hinge>),
    /// [`ApoZero`]
    ApoZero(Term<ApoZero>),
    /// [`ApoDown`]
    ApoDown(Term<ApoDown>),
    /// [`Dpop`]
    Dpop(Term<Dpop>),
    /// [`Exo`]
    Exo(Term<Exo>),
    /// [`SimPo`]
    #[serde(rename = "simpo")]
    SimPo(Term<SimPo>),
    /// [`Orpo`]
    Orpo(Term<Orpo>),
    /// [`Cpo`]
    Cpo(Term<Cpo>),
    /// [`Nll`]
    Nll(Term<Nll>),
    /// [`SquaredLogRatio`]
    SquaredLogRatio(Term<SquaredLogRatio>),
    /// [`K1`]
    K1(Term<K1>),
    /// [`K2`]
    K2(Term<K2>),
    /// [`K3`]
    K3(Term<K3>),
    /// [`Kl`]
    Kl(Term<Kl>),
}

impl LossSpec {
    /// The paper's composite: DPO 1.0, NLL 0.1, squared log-ratio 0.001, with the objective's
    /// `beta`.
    #[must_use]
    pub fn paper() -> Vec<Self> {
        vec![
            Self::Dpo(Term::with_defaults(1.0)),
            Self::Nll(Term::with_defaults(0.1)),
            Self::SquaredLogRatio(Term::with_defaults(0.001)),
        ]
    }

    /// Name of the loss, as in a file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dpo(_) => Dpo::NAME,
            Self::Ipo(_) => Ipo::NAME,
            Self::Hinge(_) => Hinge::NAME,
            Self::ApoZero(_) => ApoZero::NAME,
            Self::ApoDown(_) => ApoDown::NAME,
            Self::Dpop(_) => Dpop::NAME,
            Self::Exo(_) => Exo::NAME,
            Self::SimPo(_) => SimPo::NAME,
            Self::Orpo(_) => Orpo::NAME,
            Self::Cpo(_) => Cpo::NAME,
            Self::Nll(_) => "nll",
            Self::SquaredLogRatio(_) => SquaredLogRatio::NAME,
            Self::K1(_) => "k1",
            Self::K2(_) => "k2",
            Self::K3(_) => "k3",
            Self::Kl(_) => Kl::NAME,
        }
    }

    /// Factor in the sum.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.term().weight
    }

    /// Fills `beta` in where the file gave none and the loss takes the objective's: DPO, IPO,
    /// hinge, APO, DPOP and EXO. The reference-free ones have scales of their own.
    #[must_use]
    pub fn resolved(mut self, beta: f64) -> Self {
        match &mut self {
            Self::Dpo(term) => term.inherit_beta(|loss| loss.beta = beta),
            Self::Ipo(term) => term.inherit_beta(|loss| loss.beta = beta),
            Self::Hinge(term) => term.inherit_beta(|loss| loss.beta = beta),
            Self::ApoZero(term) => term.inherit_beta(|loss| loss.beta = beta),
            Self::ApoDown(term) => term.inherit_beta(|loss| loss.beta = beta),
            Self::Dpop(term) => term.inherit_beta(|loss| loss.beta = beta),
            Self::Exo(term) => term.inherit_beta(|loss| loss.beta = beta),
            Self::SimPo(term) => term.inherit_beta(|_| {}),
            Self::Orpo(term) => term.inherit_beta(|_| {}),
            Self::Cpo(term) => term.inherit_beta(|_| {}),
            Self::Nll(_) | Self::SquaredLogRatio(_) => {}
            Self::K1(_) | Self::K2(_) | Self::K3(_) | Self::Kl(_) => {}
        }
        self
    }

    /// Checks the settings' ranges.
    ///
    /// # Errors
    /// [`DpoError::LossSetting`] naming the first setting outside its range.
    pub fn validate(&self) -> Result<(), DpoError> {
        let weight = self.weight();
        crate::loss::check(weight.is_finite(), self.name(), "weight", weight, "a finite number")?;
        match self {
            Self::Dpo(term) => term.loss.validate(),
            Self::Ipo(term) => term.loss.validate(),
            Self::Hinge(term) => term.loss.validate(),
            Self::ApoZero(term) => term.loss.validate(),
            Self::ApoDown(term) => term.loss.validate(),
            Self::Dpop(term) => term.loss.validate(),
            Self::Exo(term) => term.loss.validate(),
            Self::SimPo(term) => term.loss.validate(),
            Self::Orpo(term) => term.loss.validate(),
            Self::Cpo(term) => term.loss.validate(),
            Self::Nll(_) | Self::SquaredLogRatio(_) => Ok(()),
            Self::K1(_) | Self::K2(_) | Self::K3(_) | Self::Kl(_) => Ok(()),
        }
    }

    fn term(&self) -> WeightedTerm {
        let name = self.name();
        match self {
            Self::Dpo(term) => term.weighted(name),
            Self::Ipo(term) => term.weighted(name),
            Self::Hinge(term) => term.weighted(name),
            Self::ApoZero(term) => term.weighted(name),
            Self::ApoDown(term) => term.weighted(name),
            Self::Dpop(term) => term.weighted(name),
            Self::Exo(term) => term.weighted(name),
            Self::SimPo(term) => term.weighted(name),
            Self::Orpo(term) => term.weighted(name),
            Self::Cpo(term) => term.weighted(name),
            Self::Nll(term) => term.weighted(name),
            Self::SquaredLogRatio(term) => term.weighted(name),
            Self::K1(term) => term.weighted(name),
            Self::K2(term) => term.weighted(name),
            Self::K3(term) => term.weighted(name),
            Self::Kl(term) => term.weighted(name),
        }
    }
}

/// The loss that an objective describes, `beta` filled in where a term has none.
///
/// # Errors
/// [`DpoError::NoLosses`] for an empty list, [`DpoError::LossSetting`] for a setting out of range,
/// [`DpoError::TwoDivergences`] for a `kl` in both directions.
///
/// # Examples
/// ```
/// use ingrain_dpo::{LossSpec, PreferenceLoss, build_loss};
///
/// let reference_free: Vec<LossSpec> = serde_json::from_str(r#"[{"simpo": 1.0}]"#)?;
/// assert!(!build_loss(&reference_free, 0.1)?.needs_reference());
/// assert!(build_loss(&LossSpec::paper(), 0.1)?.needs_reference());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn build_loss(specs: &[LossSpec], beta: f64) -> Result<WeightedSum, DpoError> {
    if specs.is_empty() {
        return Err(DpoError::NoLosses);
    }
    let mut sum = WeightedSum::new();
    for spec in specs {
        let spec = spec.clone().resolved(beta);
        spec.validate()?;
        let term = spec.term();
        if let (Some(earlier), Some(new)) = (sum.divergence(), term.loss.divergence())
            && earlier != new
        {
            return Err(DpoError::TwoDivergences);
        }
        sum.push(term);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(yaml: &str) -> Result<Vec<LossSpec>, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn the_short_form_is_a_list_of_weights() {
        let objective = parse("[{dpo: 1.0}, {nll: 0.1}, {squared_log_ratio: 0.001}]");
        let objective = objective.expect("parses");
        let expected: Vec<LossSpec> = LossSpec::paper();
        assert_eq!(objective, expected);
    }

    #[test]
    fn the_long_form_gives_settings_and_weight_in_any_order() {
        let objective = parse(
            "- dpo: {weight: 2, label_smoothing: 0.1, label_noise: robust}\n- nll: {weight: 0.5}\n- simpo: {gamma: 0.3}",
        );
        let objective = objective.expect("parses");
        let robust =
            Dpo { label_smoothing: 0.1, label_noise: crate::LabelNoise::Robust, ..Dpo::default() };
        assert_eq!(
            objective[0],
            LossSpec::Dpo(Term { weight: 2.0, loss: robust, lacks_beta: true })
        );
        assert_eq!(objective[1].weight(), 0.5);
        assert_eq!(objective[2].weight(), 1.0);
    }

    #[test]
    fn beta_beside_the_list_fills_in_only_where_a_term_has_none() {
        let beta = |yaml: &str| match parse(yaml).expect("parses").remove(0).resolved(0.7) {
            LossSpec::Dpo(term) => term.loss.beta,
            LossSpec::SimPo(term) => term.loss.beta,
            other => panic!("{other:?}"),
        };
        assert_eq!(beta("[{dpo: 1.0}]"), 0.7);
        assert_eq!(beta("[{dpo: {weight: 1.0}}]"), 0.7);
        assert_eq!(beta("[{dpo: {beta: 0.2}}]"), 0.2);
        assert_eq!(beta("[{simpo: 1.0}]"), 2.0);
    }

    #[test]
    fn a_resolved_objective_survives_being_written_and_read() {
        let mut objective = LossSpec::paper();
        objective.push(LossSpec::Orpo(Term::with_defaults(0.5)));
        let written: Vec<LossSpec> = objective.into_iter().map(|spec| spec.resolved(0.3)).collect();
        let text = serde_json::to_string(&written).expect("JSON");
        assert!(text.contains(r#""beta":0.3"#), "{text}");
        assert_eq!(serde_json::from_str::<Vec<LossSpec>>(&text).expect("parses"), written);
    }

    #[test]
    fn unknown_losses_and_settings_are_refused_by_name() {
        let error = parse("[{dpoo: 1.0}]").expect_err("no such loss");
        assert!(error.contains("dpoo"), "{error}");
        let error = parse("[{dpo: {betta: 0.1}}]").expect_err("no such setting");
        assert!(error.contains("unknown field `betta`, expected one of `beta`"), "{error}");
        let error = parse("[{nll: {beta: 0.1}}]").expect_err("no such setting");
        assert!(error.contains("unknown field `beta`"), "{error}");
        let error = parse("[{nll: {weight: heavy}}]").expect_err("no number");
        assert!(error.contains("`weight` is \"heavy\", expected a number"), "{error}");
    }

    #[test]
    fn settings_out_of_range_are_refused_before_training() {
        let message = |yaml: &str| {
            build_loss(&parse(yaml).expect("parses"), 0.1).expect_err("out of range").to_string()
        };
        assert_eq!(
            message("[{dpo: {beta: 0}}]"),
            "loss `dpo`: `beta` is 0; expected a number above 0"
        );
        assert!(message("[{exo: {label_smoothing: 0}}]").contains("above 0 and below 0.5"));
        assert!(message("[]").contains("no terms"));
        let both = "[{kl: 0.1}, {kl: {weight: 0.1, direction: forward}}]";
        assert!(message(both).contains("both directions"));
    }
}
