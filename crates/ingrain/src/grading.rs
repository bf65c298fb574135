//! Who says whose a reply is: a trained classifier, or a plain model, behind the seam [`Grader`].

use ingrain_chat::{ChatError, Scorer};
use ingrain_classifier::PersonaClassifier;
use ingrain_eval::{Classify, GradedText, Grader, LikelihoodGrader};

/// A trained classifier as a grader. It looks at the reply alone; its labels are those that it learnt.
///
/// # Examples
/// ```no_run
/// use ingrain::classifier::PersonaClassifier;
/// use ingrain::eval::{GradedText, Grader};
///
/// let device = ingrain::lm::device("cpu")?;
/// let read = PersonaClassifier::load("runs/classifier".as_ref(), &device, &ingrain::run::Silent)?;
/// let grader = ingrain::classifier_grader(read);
/// let text = GradedText { message: "How are you?", reply: "Oh good, small talk." };
/// println!("{:?}: {:?}", grader.labels(), grader.grade(&[text]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn classifier_grader(classifier: PersonaClassifier) -> impl Grader {
    let labels = classifier.labels().to_vec();
    Classify::new(labels, move |texts: &[&str]| {
        let said = classifier.predict(texts).map_err(|error| error.to_string())?;
        Ok(said.into_iter().map(|prediction| prediction.probabilities).collect())
    })
}

/// A plain model as a grader: under which character's summary does it find the reply likeliest? Characters by
/// name and summary; calibrate it on replies of all of them in equal parts.
pub fn likelihood_grader<S: Scorer>(
    model: S,
    characters: impl IntoIterator<Item = (String, String)>,
) -> LikelihoodGrader<S> {
    let told = |(name, summary)| (name, Some(format!("You are this assistant: {summary}")));
    LikelihoodGrader::new(model, characters.into_iter().map(told))
}

/// A grader whose grades are all on disk; it gives none itself.
pub(crate) struct Graded(pub(crate) Vec<String>);

impl Grader for Graded {
    fn labels(&self) -> &[String] {
        &self.0
    }

    fn grade(&self, texts: &[GradedText<'_>]) -> Vec<Result<Vec<f64>, ChatError>> {
        let absent = || ChatError::Model("its grades are not on disk".to_owned());
        texts.iter().map(|_| Err(absent())).collect()
    }
}
