//! Reads elements out of S3's responses: flat XML, without attributes that matter.

/// The contents of each element of this name, in their order.
pub(super) fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (content, after) = after.split_once(&close)?;
        rest = after;
        Some(content)
    })
}

/// The text of the first element of this name.
pub(super) fn text(xml: &str, name: &str) -> Option<String> {
    elements(xml, name).next().map(unescaped)
}

/// Replaces entities and character references; one that is not known stays as it is.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        match after.split_once(';').and_then(|(name, after)| Some((entity(name)?, after))) {
            Some((char, after)) => {
                out.push(char);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_and_references_become_characters() {
        let table = [
            ("a&amp;b&lt;&gt;&quot;&apos;", "a&b<>\"'"),
            ("&#13;&#x1F600;&#X41;", "\r😀A"),
            ("&&unknown;&#xD800;&#99999999999;&amp", "&&unknown;&#xD800;&#99999999999;&amp"),
            ("", ""),
        ];
        for (xml, expected) in table {
            assert_eq!(unescaped(xml), expected);
        }
    }

    #[test]
    fn elements_are_found_in_their_order() {
        let xml = "<r><Key>a</Key><Other/><Key>b&amp;c</Key><Key>broken</r>";
        assert_eq!(elements(xml, "Key").collect::<Vec<_>>(), ["a", "b&amp;c"]);
        assert_eq!((text(xml, "Key"), text(xml, "None")), (Some("a".to_owned()), None));
    }
}
