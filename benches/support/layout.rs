//! Columns of text, in groups with titles.

/// Columns under one title. The first cell of each is its heading.
pub(crate) struct Group {
    title: &'static str,
    columns: Vec<Vec<String>>,
}

impl Group {
    pub(crate) fn new(title: &'static str, columns: Vec<Vec<String>>) -> Self {
        Self { title, columns }
    }

    /// Its title, a rule, the headings and the cells, all of one width. Headings and cells are at the right.
    fn lines(&self) -> Vec<String> {
        let width = |texts: &[String]| texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
        let mut rows = vec![String::new(); self.columns[0].len()];
        for column in &self.columns {
            let (gap, width) = (if rows[0].is_empty() { "" } else { "  " }, width(column));
            rows.iter_mut().zip(column).for_each(|(row, cell)| row.push_str(&format!("{gap}{cell:>width$}")));
        }
        let width = width(&rows).max(self.title.len());
        let rule = if self.title.is_empty() { " " } else { "─" };
        let head = [format!("{:^width$}", self.title), rule.repeat(width)];
        head.into_iter().chain(rows.into_iter().map(|row| format!("{row:>width$}"))).collect()
    }
}

/// The groups next to each other.
pub(crate) fn lay_out(groups: &[Group]) -> String {
    let groups: Vec<Vec<String>> = groups.iter().map(Group::lines).collect();
    let line = |number: usize| groups.iter().map(|lines| lines[number].as_str()).collect::<Vec<_>>().join("   ");
    (0..groups[0].len()).map(|number| line(number).trim_end().to_owned() + "\n").collect()
}
