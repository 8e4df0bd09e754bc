//! The table whose records may be posted: the one setting that is the function's own.

use std::env::VarError;

const TABLE_NAME: &str = "TABLE_NAME";

/// Reads the table's name from the environment.
pub(crate) fn name_from_env() -> Result<String, String> {
    check(std::env::var(TABLE_NAME))
}

fn check(value: Result<String, VarError>) -> Result<String, String> {
    match value {
        Ok(name) if is_table_name(&name) => Ok(name),
        Err(VarError::NotPresent) => Err(format!("`{TABLE_NAME}` is not set: set it to the name of the table")),
        malformed => Err(format!("`{TABLE_NAME}` is {malformed:?}: it must be the name of a table")),
    }
}

/// 3 to 255 characters, none of which could change the meaning of an ARN.
fn is_table_name(text: &str) -> bool {
    (3..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tables_name_is_taken() {
        for name in ["abc", "Orders_2.prod-eu", &"x".repeat(255)] {
            assert_eq!(check(Ok(name.to_owned())), Ok(name.to_owned()));
        }
    }

    #[test]
    fn what_is_not_a_name_is_named() {
        for value in ["", "ab", "arn:aws:dynamodb:eu-central-1:123456789012:table/orders", "a/b", &"x".repeat(256)] {
            let error = check(Ok(value.to_owned())).expect_err("it is not a name");
            assert!(error.starts_with("`TABLE_NAME` is ") && error.contains(value), "{error}");
        }
        let unset = check(Err(VarError::NotPresent));
        assert_eq!(unset, Err("`TABLE_NAME` is not set: set it to the name of the table".to_owned()));
    }
}
