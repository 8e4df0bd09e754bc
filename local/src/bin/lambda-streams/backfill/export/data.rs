//! The lines of a data file: read once as a whole, and given only if the file is whole.

use std::io::{BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::DataFile;

/// More than two images of the largest item take as JSON, however they are escaped.
const MAX_LINE: u64 = 16 * 1024 * 1024;

/// The lines of a data file, whether it is compressed or not. An error ends them.
fn lines(bytes: Arc<[u8]>) -> impl Iterator<Item = Result<Vec<u8>, String>> + Send {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let is_gzip = bytes.starts_with(&GZIP);
    let bytes = Cursor::new(bytes);
    let mut reader: Box<dyn BufRead + Send> = match is_gzip {
        true => Box::new(BufReader::new(MultiGzDecoder::new(bytes))),
        false => Box::new(bytes),
    };
    let mut has_failed = false;
    std::iter::from_fn(move || {
        while !has_failed {
            let mut line = Vec::new();
            match (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(read) if (read as u64) < MAX_LINE => return Some(Ok(line)),
                Ok(_) => {
                    has_failed = true;
                    return Some(Err("a line is longer than an item can be".to_owned()));
                }
                Err(error) => {
                    has_failed = true;
                    return Some(Err(error.to_string()));
                }
            }
        }
        None
    })
}

/// Reads all of a data file once, and gives its lines if it is whole.
///
/// # Errors
/// If it is corrupt or was cut. The error does not name the file.
pub(in crate::backfill) fn whole_lines(
    file: &DataFile,
    bytes: &Arc<[u8]>,
) -> Result<impl Iterator<Item = Vec<u8>> + Send + use<>, String> {
    let mut count = 0;
    for line in lines(Arc::clone(bytes)) {
        line.map_err(|error| format!("it is corrupt or was cut, after line {count}: {error}"))?;
        count += 1;
    }
    match file.items {
        Some(items) if items != count => {
            Err(format!("it has {count} lines and the manifest says {items}: it was cut, or is another file"))
        }
        _ => Ok(lines(Arc::clone(bytes)).map_while(Result::ok)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(items: Option<u64>, bytes: &[u8]) -> Result<Vec<String>, String> {
        let file = DataFile { name: "f".to_owned(), items };
        let lines = whole_lines(&file, &bytes.into())?;
        Ok(lines.map(|line| String::from_utf8(line).unwrap().trim_end().to_owned()).collect())
    }

    #[test]
    fn a_data_file_may_be_plain_or_compressed_in_several_members() {
        let several = [gzip("a\nb"), gzip("\n\nc\n"), gzip("")].concat();
        for bytes in [b"a\nb\n\nc".to_vec(), gzip("a\nb\nc\n"), several] {
            assert_eq!(read(Some(3), &bytes), Ok(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
        }
        for empty in [Vec::new(), gzip("")] {
            assert_eq!(read(Some(0), &empty), Ok(Vec::new()), "a partition without items");
        }
    }

    #[test]
    fn a_corrupt_or_cut_data_file_gives_no_line() {
        let text: String = (0..500).map(|number| format!("{{\"Item\":{{\"id\":{{\"N\":\"{number}\"}}}}}}\n")).collect();
        let whole = gzip(&text);
        for length in 2..whole.len() {
            let error = read(Some(500), &whole[..length]).expect_err("it was cut");
            assert!(error.starts_with("it is corrupt or was cut, after line "), "{error}");
        }
        let mut corrupt = whole.clone();
        // The sum at the end.
        let sum = corrupt.len() - 6;
        corrupt[sum] ^= 1;
        assert!(
            read(None, &corrupt).expect_err("the sum is wrong").starts_with("it is corrupt or was cut, after line 500")
        );
        let error = read(Some(501), &whole).expect_err("one is missing");
        assert_eq!(error, "it has 500 lines and the manifest says 501: it was cut, or is another file");
        let long = vec![b' '; usize::try_from(MAX_LINE).unwrap()];
        assert!(
            read(None, &[b"x".to_vec(), long].concat()).expect_err("too long").contains("longer than an item can be")
        );
    }
}
