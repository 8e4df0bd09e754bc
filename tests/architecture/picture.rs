//! Draws the modules of a crate as an SVG: a record's way on top, and the floors below it.

use std::fmt::Write;

use super::rooms::Rooms;

const WIDTH: usize = 1_200;
const MARGIN: usize = 16;
const GAP: usize = 10;
const LINE: usize = 14;
/// The most boxes in a row, and the most letters in a line of one.
const PER_ROW: usize = 6;
const LETTERS: usize = 29;
/// The height of a step of a record's way: a name and three lines.
const WAY_HEIGHT: usize = 26 + 3 * LINE;

pub(crate) fn draw(rooms: &Rooms, way: &[(&str, &str)]) -> String {
    let mut svg = String::new();
    let mut y = heading(&mut svg, 30, "A record's way");
    y = draw_way(&mut svg, y, rooms, way);
    y = heading(&mut svg, y + 34, "The modules: each imports only modules below it");
    for floor in rooms.floors().iter().rev() {
        for row in floor.chunks(PER_ROW) {
            y = draw_row(&mut svg, y, row, rooms, way);
        }
    }
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"DejaVu Sans, Verdana, \
         sans-serif\" font-size=\"11\" fill=\"#333\" role=\"img\">\n<title>The modules of lambda-streams, and a record's way \
         through them</title>\n<style>.h{{font-size:15px;font-weight:bold}}.n{{font-weight:bold;font-family:monospace;\
         font-size:13px}}.b{{fill:#fff;stroke:#bbb}}.w{{fill:#eaf3ec;stroke:#3f7d54}}.c{{fill:#3f7d54}}.i{{fill:#fff;\
         font-weight:bold}}</style>\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#f7f7f7\"/>\n{svg}</svg>\n"
    )
}

fn heading(svg: &mut String, y: usize, text: &str) -> usize {
    writeln!(svg, "<text x=\"{MARGIN}\" y=\"{y}\" class=\"h\">{}</text>", escaped(text)).unwrap();
    y + 12
}

/// The steps, in rows of five, joined by arrows.
fn draw_way(svg: &mut String, mut y: usize, rooms: &Rooms, way: &[(&str, &str)]) -> usize {
    const PER_ROW: usize = 5;
    const ARROW: usize = 18;
    let width = (WIDTH - 2 * MARGIN - (PER_ROW - 1) * ARROW) / PER_ROW;
    for (row, steps) in way.chunks(PER_ROW).enumerate() {
        for (column, (name, step)) in steps.iter().enumerate() {
            assert!(rooms.by_name.contains_key(*name), "a record's way leads through `{name}`, which is not a module");
            let number = row * PER_ROW + column + 1;
            let x = MARGIN + column * (width + ARROW);
            draw_box(svg, Box { x, y, width, height: WAY_HEIGHT, name, text: step, numbers: &[number] });
            if number < way.len() {
                let (x, y) = (x + width + ARROW / 2, y + WAY_HEIGHT / 2 + 4);
                writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" class=\"h\">›</text>").unwrap();
            }
        }
        y += WAY_HEIGHT + GAP;
    }
    y
}

fn draw_row(svg: &mut String, y: usize, row: &[&str], rooms: &Rooms, way: &[(&str, &str)]) -> usize {
    let width = (WIDTH - 2 * MARGIN - (PER_ROW - 1) * GAP) / PER_ROW;
    let lines = row.iter().map(|name| wrapped(&rooms.by_name[*name].idea).len()).max().unwrap_or(0);
    let height = 26 + lines * LINE;
    let indent = (WIDTH - row.len() * (width + GAP) + GAP) / 2;
    for (column, name) in row.iter().enumerate() {
        let numbers: Vec<usize> =
            way.iter().enumerate().filter(|(_, (step, _))| step == name).map(|(index, _)| index + 1).collect();
        let x = indent + column * (width + GAP);
        draw_box(svg, Box { x, y, width, height, name, text: &rooms.by_name[*name].idea, numbers: &numbers });
    }
    y + height + GAP
}

struct Box<'a> {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    name: &'a str,
    text: &'a str,
    /// The steps of a record's way that happen here.
    numbers: &'a [usize],
}

fn draw_box(svg: &mut String, Box { x, y, width, height, name, text, numbers }: Box<'_>) {
    let class = if numbers.is_empty() { "b" } else { "w" };
    writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\" class=\"{class}\"/>")
        .unwrap();
    writeln!(svg, "<text x=\"{}\" y=\"{}\" class=\"n\">{name}</text>", x + 8, y + 17).unwrap();
    for (index, number) in numbers.iter().enumerate() {
        let (x, y) = (x + width - 14 - index * 22, y + 13);
        writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"9\" class=\"c\"/>").unwrap();
        writeln!(svg, "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" class=\"i\">{number}</text>", y + 4).unwrap();
    }
    for (index, line) in wrapped(text).iter().enumerate() {
        let y = y + 32 + index * LINE;
        writeln!(svg, "<text x=\"{}\" y=\"{y}\">{}</text>", x + 8, escaped(line)).unwrap();
    }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.replace(['`', '[', ']'], "").split_whitespace() {
        let line = lines.last_mut().expect("there is a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > LETTERS {
            lines.push(word.to_owned());
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
