//! `each`: one session written once, made for each entry of a list, line of a file or file of a glob. Owns
//! the entries and their slugs. Invariant: no two entries of one `each` have the same slug.

use super::ground::Ground;
use super::problem::{Code, Problem};
use super::raw::{Entry, Kind, Node};
use super::read::{Here, Reader};
use super::source::MAX_BYTES;
use super::template::{Item, slug};
use std::collections::HashMap;
use std::path::Path;

/// The entries of an `each`.
pub fn items(
    node: &Node,
    reader: &mut Reader,
    ground: &mut Ground,
    here: Here,
) -> Option<Vec<Item>> {
    let items = match &node.kind {
        Kind::Seq(list) => list.iter().map(|node| of_list(node, reader, here)).collect(),
        Kind::Map(entries) => match &entries[..] {
            [entry] if entry.key == "lines" => of_lines(entry, reader, ground, here),
            [entry] if entry.key == "files" => of_files(entry, reader, ground, here),
            _ => {
                let problem = Problem::new(Code::BadValue, "`each` has either `lines` or `files`");
                reader.problem(
                    problem.at(node.at).help("`each: {lines: FILE}` or `each: {files: GLOB}`"),
                );
                None
            }
        },
        Kind::Scalar(..) => {
            let message = format!("`each` must be a list or a map, not {}", node.describe());
            let help = "`each: [a, b]`, `each: {lines: FILE}` or `each: {files: GLOB}`";
            reader.problem(Problem::new(Code::WrongType, message).at(node.at).help(help));
            None
        }
    }?;
    Some(with_slugs(items, node, reader))
}

fn of_list(node: &Node, reader: &mut Reader, here: Here) -> Option<Item> {
    let Kind::Map(entries) = &node.kind else {
        let text = reader.text("each[]", node, here)?.value;
        return Some(Item { slug: slug(&text), text: Some(text), keys: Vec::new() });
    };
    let mut keys = Vec::with_capacity(entries.len());
    for entry in entries {
        let named = entry.key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if !named {
            let problem =
                Problem::new(Code::BadName, "a key of `each` has only letters, digits, _ and -");
            reader.problem(problem.at(entry.at));
        }
        keys.push((entry.key.to_string(), reader.text("each[]", &entry.value, here)?.value));
    }
    let of = |name: &str| keys.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let slug =
        slug(of("slug").or(of("name")).or(keys.first().map(|(_, v)| v.as_str())).unwrap_or(""));
    // What was written as `slug` is made one: it goes into names.
    keys.retain(|(key, _)| key != "slug");
    Some(Item { text: None, keys, slug })
}

fn of_lines(
    entry: &Entry,
    reader: &mut Reader,
    ground: &mut Ground,
    here: Here,
) -> Option<Vec<Item>> {
    let file = reader.text("each.lines", &entry.value, here)?;
    let path = ground.path(&file.value);
    match ground.text(&path, MAX_BYTES) {
        Ok(text) => Some(
            text.lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(|line| Item {
                    text: Some(line.to_owned()),
                    keys: Vec::new(),
                    slug: slug(line),
                })
                .collect(),
        ),
        Err(error) => {
            let message = format!("`{}` cannot be brought in: {error}", path.display());
            reader.problem(Problem::new(Code::FileUnreadable, message).at(file.at));
            None
        }
    }
}

fn of_files(
    entry: &Entry,
    reader: &mut Reader,
    ground: &mut Ground,
    here: Here,
) -> Option<Vec<Item>> {
    let glob = reader.text("each.files", &entry.value, here)?;
    if !reader.check_glob("each.files", &glob) {
        return None;
    }
    let matcher = super::files::matcher(&glob.value).ok()?;
    match ground.glob(&matcher) {
        Ok(paths) => Some(paths.iter().map(|path| of_path(path, &ground.directory)).collect()),
        Err(error) => {
            let message = format!("the directory of `each.files` cannot be listed: {error}");
            reader.problem(Problem::new(Code::FileUnreadable, message).at(glob.at));
            None
        }
    }
}

fn of_path(path: &Path, directory: &Path) -> Item {
    let text = path.display().to_string();
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let whole = directory.join(path).display().to_string();
    let keys = vec![("name".to_owned(), name), ("path".to_owned(), whole)];
    Item { slug: slug(&path.with_extension("").display().to_string()), text: Some(text), keys }
}

/// The entries that can be named; the others are problems.
fn with_slugs(items: Vec<Item>, node: &Node, reader: &mut Reader) -> Vec<Item> {
    let mut seen: HashMap<String, String> = HashMap::new();
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        let shown = shown(&item).to_owned();
        if item.slug.is_empty() {
            let message = format!("`{shown}` has no letter or digit to make a name of");
            reader.problem(Problem::new(Code::BadName, message).at(node.at));
            continue;
        }
        if let Some(other) = seen.get(&item.slug) {
            let slug = &item.slug;
            let message = format!("`{other}` and `{shown}` have the same slug `{slug}`");
            let help = "sessions are named by it: make the entries differ in letters or digits";
            reader.problem(Problem::new(Code::SameSlug, message).at(node.at).help(help));
            continue;
        }
        seen.insert(item.slug.clone(), shown);
        kept.push(item);
    }
    kept
}

fn shown(item: &Item) -> &str {
    item.text
        .as_deref()
        .or(item.keys.first().map(|(_, value)| value.as_str()))
        .unwrap_or(&item.slug)
}
