//! What a filter may return: whether it keeps the record, or the error that kept it from deciding.

use crate::decode::DecodeError;

/// What a [filter](crate::ProcessorBuilder::filter) returns: `bool`, or `Result<bool, DecodeError>`.
///
/// ```
/// use lambda_streams::{DecodeError, FilterAnswer, Record};
///
/// /// Keeps what a filter does not keep.
/// fn not<A: FilterAnswer>(keep: impl Fn(&Record) -> A) -> impl Fn(&Record) -> Result<bool, DecodeError> {
///     move |record| keep(record).into_result().map(|is_kept| !is_kept)
/// }
/// ```
///
/// The trait is sealed: there are no other answers.
#[diagnostic::on_unimplemented(
    message = "a filter cannot return `{Self}`",
    label = "neither `bool` nor `Result<bool, DecodeError>`",
    note = "a filter is a function from `&Record` to `bool`, or to `Result<bool, DecodeError>`, whose error fails the record"
)]
pub trait FilterAnswer: sealed::Sealed {
    /// Whether the record is kept.
    ///
    /// # Errors
    /// If the filter could not decide.
    fn into_result(self) -> Result<bool, DecodeError>;
}

impl FilterAnswer for bool {
    fn into_result(self) -> Result<bool, DecodeError> {
        Ok(self)
    }
}

impl FilterAnswer for Result<bool, DecodeError> {
    fn into_result(self) -> Result<bool, DecodeError> {
        self
    }
}

mod sealed {
    use super::DecodeError;

    pub trait Sealed {}

    impl Sealed for bool {}

    impl Sealed for Result<bool, DecodeError> {}
}
