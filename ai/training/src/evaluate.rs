//! How good a model is on a data set.

use nexus_models::data::{DataTargets, Dataset};
use nexus_models::{Loss, Mode, Network, Workspace};
use serde::{Deserialize, Serialize};

use crate::LearningError;
use crate::local::fits;
use crate::metrics::{Confusion, Errors, argmax, auc, logistic_loss, macro_auc, softmax};

/// Rows that go through the model at a time.
const ROWS: usize = 256;

/// How good a model is on a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Rows of the data set.
    pub examples: u64,
    /// Mean of the loss the model is trained on. Not finite if an output is not.
    pub loss: f64,
    /// The measures that fit the targets.
    #[serde(flatten)]
    pub scores: Scores,
}

impl Evaluation {
    /// Share of examples whose class is predicted right, if the targets are classes.
    pub const fn accuracy(&self) -> Option<f64> {
        match &self.scores {
            Scores::Classes(scores) => Some(scores.accuracy),
            Scores::Values(_) => None,
        }
    }
}

/// Measures of predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scores {
    /// Of classes.
    Classes(ClassScores),
    /// Of numbers.
    Values(Errors),
}

/// Measures of predicted classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Share of examples predicted right.
    pub accuracy: f64,
    /// F1 of class 1 if there are two classes, else the mean over the classes.
    pub f1: f64,
    /// Area under the ROC curve of class 1 if there are two classes, else the mean of each class
    /// against the rest; none if only one class is present.
    pub auc: Option<f64>,
    /// How often each class was taken for each other.
    pub confusion: Confusion,
}

/// The outputs of the model for every row of `data`, row by row, before softmax or the logistic
/// function.
///
/// # Errors
/// [`LearningError::Length`] and [`LearningError::Model`] if the network fits neither the
/// parameters nor the data.
pub fn predict(
    network: &Network<f32>,
    parameters: &[f32],
    data: &Dataset,
) -> Result<Vec<f32>, LearningError> {
    fits("features of a row", data.width(), network.inputs())?;
    fits("parameters", parameters.len(), network.parameters())?;
    let mut workspace = Workspace::default();
    let mut outputs = Vec::with_capacity(data.rows() * network.outputs());
    for rows in data.features().chunks(ROWS * data.width()) {
        let examples = rows.len() / data.width();
        outputs.extend(network.forward(parameters, rows, examples, Mode::Eval, &mut workspace)?);
    }
    Ok(outputs)
}

/// Measures a model on `data`.
///
/// # Errors
/// [`LearningError::NoRows`]; [`LearningError::Targets`] if the loss of the model is not for the
/// kind of targets; else as [`predict`].
pub fn evaluate(
    network: &Network<f32>,
    parameters: &[f32],
    data: &Dataset,
) -> Result<Evaluation, LearningError> {
    if data.rows() == 0 {
        return Err(LearningError::NoRows);
    }
    let outputs = predict(network, parameters, data)?;
    let (loss_sum, scores) = match (network.spec().loss, data.targets()) {
        (Loss::SoftmaxCrossEntropy, DataTargets::Classes { labels, .. }) => {
            of_classes(&outputs, labels, network.outputs())?
        }
        (Loss::BinaryCrossEntropy, DataTargets::Classes { labels, .. }) => {
            fits("outputs of a model for two classes", network.outputs(), 1)?;
            of_two_classes(&outputs, labels)?
        }
        (Loss::MeanSquaredError, DataTargets::Values(values)) => {
            fits("outputs of a model for one value", network.outputs(), 1)?;
            let errors = Errors::of(&outputs, values);
            (errors.mean_squared * values.len() as f64, Scores::Values(errors))
        }
        (Loss::SoftmaxCrossEntropy | Loss::BinaryCrossEntropy, DataTargets::Values(_)) => {
            return Err(LearningError::Targets { what: "this model's loss", needs: "classes" });
        }
        (Loss::MeanSquaredError, DataTargets::Classes { .. }) => {
            return Err(LearningError::Targets { what: "this model's loss", needs: "numbers" });
        }
    };
    Ok(Evaluation { examples: data.rows() as u64, loss: loss_sum / data.rows() as f64, scores })
}

fn of_classes(
    logits: &[f32],
    labels: &[u32],
    classes: usize,
) -> Result<(f64, Scores), LearningError> {
    check_labels(labels, classes)?;
    let mut probabilities = Vec::with_capacity(logits.len());
    let mut predicted = Vec::with_capacity(labels.len());
    let mut loss = 0.0;
    for (row, label) in logits.chunks_exact(classes).zip(labels) {
        loss += softmax(row, &mut probabilities) - f64::from(row[*label as usize]);
        predicted.push(argmax(row));
    }
    let area = if classes == 2 {
        auc(probabilities.chunks_exact(2).zip(labels).map(|(p, label)| (p[1], *label == 1)))
    } else {
        macro_auc(&probabilities, labels, classes)
    };
    Ok((loss, class_scores(classes, labels, predicted, area)))
}

fn of_two_classes(logits: &[f32], labels: &[u32]) -> Result<(f64, Scores), LearningError> {
    check_labels(labels, 2)?;
    let pairs = || logits.iter().zip(labels).map(|(z, label)| (f64::from(*z), *label == 1));
    let loss = pairs().map(|(logit, truth)| logistic_loss(logit, truth)).sum();
    let predicted = logits.iter().map(|&logit| usize::from(logit > 0.0));
    Ok((loss, class_scores(2, labels, predicted, auc(pairs()))))
}

fn check_labels(labels: &[u32], classes: usize) -> Result<(), LearningError> {
    match labels.iter().find(|&&label| label as usize >= classes) {
        Some(&label) => Err(LearningError::Class { label, classes }),
        None => Ok(()),
    }
}

fn class_scores(
    classes: usize,
    labels: &[u32],
    predicted: impl IntoIterator<Item = usize>,
    auc: Option<f64>,
) -> Scores {
    let confusion =
        Confusion::of(classes, labels.iter().map(|&label| label as usize).zip(predicted));
    let f1 = if classes == 2 { confusion.f1(1).unwrap_or(0.0) } else { confusion.macro_f1() };
    Scores::Classes(ClassScores { accuracy: confusion.accuracy(), f1, auc, confusion })
}

#[cfg(test)]
mod tests {
    use nexus_models::ModelSpec;

    use super::*;

    /// Parameters that make every output the input of the same number.
    fn identity(network: &Network<f32>) -> Vec<f32> {
        let mut parameters = vec![0.0; network.parameters()];
        let side = network.outputs();
        for diagonal in 0..side {
            parameters[diagonal * (side + 1)] = 1.0;
        }
        parameters
    }

    fn measured(spec: &ModelSpec, features: &[f32], targets: DataTargets) -> Evaluation {
        let network = Network::new(spec).unwrap();
        let rows = targets.len();
        let data =
            Dataset::new(network.inputs(), features.to_vec(), targets, vec![0; rows]).unwrap();
        evaluate(&network, &identity(&network), &data).unwrap()
    }

    fn classes(labels: &[u32], count: usize) -> DataTargets {
        let names = (0..count).map(|class| class.to_string()).collect();
        DataTargets::Classes { labels: labels.to_vec(), names }
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    // Constants: scikit-learn 1.9.1.
    #[test]
    fn several_classes_agree_with_scikit_learn() {
        #[rustfmt::skip]
        let logits = [
            2.0, 0.5, -1.0, 0.25, 0.0, 0.75, -1.5, 0.5, 1.0, 0.0, 0.0, 0.0, 1.0, 2.5, 0.5, 0.5, -0.5, 0.25,
        ];
        let found = measured(&ModelSpec::softmax(3, 3), &logits, classes(&[0, 2, 2, 0, 1, 1], 3));
        assert_eq!(found.examples, 6);
        assert!(close(found.loss, 0.777_658_081_266_334_6), "{found:?}");
        assert!(close(found.accuracy().unwrap(), 5.0 / 6.0), "{found:?}");
        let Scores::Classes(scores) = &found.scores else { panic!("{found:?}") };
        assert!(close(scores.f1, 0.822_222_222_222_222_2), "{found:?}");
        assert!(close(scores.auc.unwrap(), 0.791_666_666_666_666_6), "{found:?}");
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["confusion"]["classes"], 3);
        assert_eq!(serde_json::from_value::<Evaluation>(json).unwrap(), found);
    }

    #[test]
    fn two_classes_agree_with_scikit_learn_with_one_output_and_with_two() {
        let logits = [-2.0, 0.5, 1.5, -0.25, 3.0, -1.0];
        let labels = [0, 1, 1, 1, 1, 0];
        let one = measured(&ModelSpec::logistic(1), &logits, classes(&labels, 2));
        let pairs: Vec<f32> = logits.iter().flat_map(|&z| [0.0, z]).collect();
        let two = measured(&ModelSpec::softmax(2, 2), &pairs, classes(&labels, 2));
        for found in [one, two] {
            assert!(close(found.loss, 0.331_701_122_029_439_97), "{found:?}");
            assert!(close(found.accuracy().unwrap(), 5.0 / 6.0), "{found:?}");
            let Scores::Classes(scores) = found.scores else { panic!("{found:?}") };
            assert!(close(scores.f1, 0.857_142_857_142_857_1), "{scores:?}");
            assert_eq!(scores.auc, Some(1.0));
            assert_eq!(scores.confusion.count(1, 0), 1);
        }
    }

    #[test]
    fn numbers_agree_with_scikit_learn() {
        let truth = DataTargets::Values(vec![3.0, -0.5, 2.0, 7.0]);
        let found = measured(&ModelSpec::linear(1), &[2.5, 0.0, 2.0, 8.0], truth);
        assert!(close(found.loss, 0.375), "{found:?}");
        assert_eq!(found.accuracy(), None);
        let Scores::Values(errors) = found.scores else { panic!("{found:?}") };
        assert!(close(errors.r2.unwrap(), 0.948_608_137_044_967_9), "{errors:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let network = Network::new(&ModelSpec::softmax(2, 2)).unwrap();
        let parameters = identity(&network);
        let data = |width: usize, targets: DataTargets| {
            let rows = targets.len();
            Dataset::new(width, vec![0.0; rows * width], targets, vec![0; rows]).unwrap()
        };
        let refused = |parameters: &[f32], data: &Dataset| {
            evaluate(&network, parameters, data).unwrap_err().to_string()
        };
        let fits = data(2, classes(&[0, 1], 2));
        assert_eq!(refused(&parameters, &data(2, classes(&[], 2))), "the data set has no rows");
        assert_eq!(refused(&parameters[1..], &fits), "parameters: 5, expected 6");
        assert!(refused(&parameters, &data(3, classes(&[0], 2))).contains("features of a row: 3"));
        assert!(refused(&parameters, &data(2, classes(&[2], 3))).contains("class 2"));
        assert!(refused(&parameters, &data(2, DataTargets::Values(vec![1.0]))).contains("classes"));
    }

    #[test]
    fn a_diverged_model_has_a_loss_that_says_so_and_an_accuracy() {
        let network = Network::new(&ModelSpec::softmax(1, 2)).unwrap();
        let data = Dataset::new(1, vec![1.0; 4], classes(&[0, 1, 1, 1], 2), vec![0; 4]).unwrap();
        let found = evaluate(&network, &vec![f32::INFINITY; network.parameters()], &data).unwrap();
        assert!(!found.loss.is_finite());
        assert!(close(found.accuracy().unwrap(), 0.25));
    }
}
