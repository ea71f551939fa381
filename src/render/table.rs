//! The table of sessions: those who need a human first, then those that wait, then the rest. Invariant: no
//! line is wider than the terminal; what does not fit is left out column by column, the name last of all.

use super::View;
use super::layout::{clean, cut, width_of};
use super::style::Tone;
use super::words::time::span;
use super::words::{self, Kind};
use crate::plan::{Entry, Health, Plan, Ports, Sync, conditions};
use crate::record::{EndKind, Record, Records};
use comfy_table::{Cell, ContentArrangement, Table, presets};

/// How urgent a session is for a human.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Held, failed, or not to be seen.
    NeedsHuman,
    /// Something is to be done, or waits.
    Waits,
    /// As it should be.
    Quiet,
}

/// How urgent it is.
#[must_use]
pub fn urgency(entry: &Entry) -> Urgency {
    let failed = matches!(entry.status.health, Health::Failed | Health::Unknown)
        || matches!(entry.status.end, Some(EndKind::GivenUp | EndKind::Failed(_)));
    match Kind::of(&entry.verdict) {
        Kind::Held | Kind::Unknown => Urgency::NeedsHuman,
        _ if failed => Urgency::NeedsHuman,
        Kind::Synced | Kind::Settle | Kind::Wished | Kind::Finished => Urgency::Quiet,
        Kind::Create
        | Kind::Start
        | Kind::Resume
        | Kind::Restart
        | Kind::Recreate
        | Kind::Update
        | Kind::Deferred
        | Kind::Queued
        | Kind::Pending
        | Kind::Stop
        | Kind::Decommission
        | Kind::Forget => Urgency::Waits,
    }
}

/// A plan's entries, the most urgent first, otherwise in the plan's order.
#[must_use]
pub fn by_urgency(plan: &Plan) -> Vec<&Entry> {
    let mut entries: Vec<&Entry> = plan.entries.iter().collect();
    entries.sort_by_key(|entry| urgency(entry));
    entries
}

/// The record of an entry's incarnation.
#[must_use]
pub fn record_of<'a>(entry: &Entry, records: &'a Records) -> Option<&'a Record> {
    entry.uid.and_then(|uid| records.sessions.get(&uid)).or_else(|| records.by_name(&entry.name))
}

/// The table of sessions. `wide` adds columns and cuts nothing.
#[must_use]
pub fn sessions(plan: &Plan, records: &Records, wide: bool, view: &View) -> String {
    if plan.entries.is_empty() {
        return format!("{} has no sessions\n", plan.fleet);
    }
    let rows: Vec<(&Entry, Option<&Record>)> =
        by_urgency(plan).into_iter().map(|entry| (entry, record_of(entry, records))).collect();
    let mut columns: Vec<Column> = Column::USUAL.to_vec();
    if wide {
        columns.extend(Column::WIDE);
    } else {
        drop_columns(&mut columns, &rows, view);
    }
    let mut grid = Grid::new(columns.iter().map(|column| column.title()).collect());
    for (entry, record) in &rows {
        let cells = columns.iter().map(|column| column.cell(entry, *record, view));
        grid.row(cells.collect());
    }
    grid.finish(wide, view)
}

/// Leaves out columns, the least needed first, until a note has room.
fn drop_columns(columns: &mut Vec<Column>, rows: &[(&Entry, Option<&Record>)], view: &View) {
    for least in [Column::Age, Column::Branch, Column::Activity, Column::Health] {
        let used: usize = columns
            .iter()
            .filter(|column| **column != Column::Note)
            .map(|column| {
                let cells = rows
                    .iter()
                    .map(|(entry, record)| width_of(&column.cell(entry, *record, view).0));
                cells.max().unwrap_or(0).max(column.title().len()) + 2
            })
            .sum();
        if view.style.width.saturating_sub(used) >= 20 {
            return;
        }
        columns.retain(|column| *column != least);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Status,
    Health,
    Activity,
    Branch,
    Age,
    Note,
    Since,
    Uid,
    Tmux,
    Pane,
    Conversation,
    Ports,
    Directory,
}

impl Column {
    const USUAL: [Self; 7] = [
        Self::Name,
        Self::Status,
        Self::Health,
        Self::Activity,
        Self::Branch,
        Self::Age,
        Self::Note,
    ];
    const WIDE: [Self; 7] = [
        Self::Since,
        Self::Uid,
        Self::Tmux,
        Self::Pane,
        Self::Conversation,
        Self::Ports,
        Self::Directory,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Status => "STATUS",
            Self::Health => "HEALTH",
            Self::Activity => "ACTIVITY",
            Self::Branch => "BRANCH",
            Self::Age => "AGE",
            Self::Note => "NOTE",
            Self::Since => "SINCE",
            Self::Uid => "UID",
            Self::Tmux => "TMUX",
            Self::Pane => "PANE",
            Self::Conversation => "CONVERSATION",
            Self::Ports => "PORTS",
            Self::Directory => "DIRECTORY",
        }
    }

    fn cell(self, entry: &Entry, record: Option<&Record>, view: &View) -> (String, Tone) {
        let status = &entry.status;
        let kind = Kind::of(&entry.verdict);
        let text = match self {
            Self::Name => Some(entry.name.to_string()),
            Self::Status => {
                let sync = words::condition::sync(Sync::of(&entry.verdict));
                return (sync.to_owned(), kind.tone());
            }
            Self::Health => {
                return (words::health(status.health).to_owned(), health_tone(status.health));
            }
            Self::Activity => Some(activity(entry)),
            Self::Branch => status.branch.clone(),
            Self::Age => record.map(|record| span(view.since(record.created))),
            Self::Note => Some(note(entry, view)),
            Self::Since => {
                let synced = conditions(entry, record).into_iter().next();
                synced.and_then(|synced| synced.since).map(|since| span(view.since(since)))
            }
            Self::Uid => entry.uid.map(|uid| uid.to_string()),
            Self::Tmux => status.tmux_session.clone(),
            Self::Pane => status.pane.as_ref().map(|pane| pane.0.clone()),
            Self::Conversation => {
                record.and_then(|record| record.conversation.as_ref()).map(|it| it.id.clone())
            }
            Self::Ports => record.map(|record| ports(&record.ports)),
            Self::Directory => status.directory.as_deref().map(|path| view.path(path)),
        };
        let text = text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned());
        (clean(&text), Tone::Plain)
    }
}

/// `db:41001 web:41000`
fn ports(ports: &Ports) -> String {
    let told: Vec<String> = ports.iter().map(|(name, port)| format!("{name}:{port}")).collect();
    told.join(" ")
}

fn health_tone(health: Health) -> Tone {
    match health {
        Health::Healthy => Tone::Good,
        Health::Progressing | Health::Degraded => Tone::Change,
        Health::Stopped | Health::Missing => Tone::Dim,
        Health::Failed => Tone::Bad,
        Health::Unknown => Tone::Unsure,
    }
}

fn activity(entry: &Entry) -> String {
    let word = if entry.status.running { words::activity(entry.status.activity) } else { "-" };
    if entry.status.attached { format!("{word}, attached") } else { word.to_owned() }
}

/// A table that goes on: further rows in the columns of the first ones.
#[derive(Debug)]
pub struct Sheet {
    columns: Vec<Column>,
    widths: Vec<usize>,
    wide: bool,
}

impl Sheet {
    /// The columns that these sessions need.
    #[must_use]
    pub fn of(plan: &Plan, records: &Records, wide: bool, view: &View) -> Self {
        let rows: Vec<(&Entry, Option<&Record>)> =
            plan.entries.iter().map(|entry| (entry, record_of(entry, records))).collect();
        let mut columns: Vec<Column> = Column::USUAL.to_vec();
        if wide {
            columns.extend(Column::WIDE);
        } else {
            drop_columns(&mut columns, &rows, view);
        }
        let width = |column: &Column| {
            let cells =
                rows.iter().map(|(entry, record)| width_of(&column.cell(entry, *record, view).0));
            cells.max().unwrap_or(0).max(column.title().len())
        };
        let widths = columns.iter().map(width).collect();
        Self { columns, widths, wide }
    }

    /// A further row.
    #[must_use]
    pub fn row(&self, entry: &Entry, record: Option<&Record>, view: &View) -> String {
        self.line(self.columns.iter().map(|column| column.cell(entry, record, view)), view)
    }

    /// The row of a session that is gone.
    #[must_use]
    pub fn gone(&self, name: &str, view: &View) -> String {
        let cells = self.columns.iter().map(|column| match column {
            Column::Name => (clean(name), Tone::Plain),
            Column::Status => ("gone".to_owned(), Tone::Dim),
            _ => ("-".to_owned(), Tone::Plain),
        });
        self.line(cells, view)
    }

    fn line(&self, cells: impl Iterator<Item = (String, Tone)>, view: &View) -> String {
        let mut line = String::new();
        let mut room = if self.wide { usize::MAX } else { view.style.width };
        for ((text, tone), width) in cells.zip(&self.widths) {
            let text = cut(&text, room);
            let gap = (width + 2).saturating_sub(width_of(&text)).min(room);
            room = room.saturating_sub(width_of(&text) + gap);
            line.push_str(&view.style.paint(tone, &text));
            line.push_str(&" ".repeat(gap));
        }
        format!("{}\n", line.trim_end())
    }
}

/// What is to be said of a session in a table.
fn note(entry: &Entry, view: &View) -> String {
    let said = words::clauses(entry, view).join("; ");
    let kind = Kind::of(&entry.verdict);
    if matches!(kind, Kind::Synced | Kind::Held | Kind::Unknown) {
        return said;
    }
    let verb = words::verb(&entry.verdict);
    if said.is_empty() { verb.to_owned() } else { format!("{verb}: {said}") }
}

/// Rows without borders; the last column is cut to what is left of the line.
pub(super) struct Grid {
    titles: Vec<&'static str>,
    rows: Vec<Vec<(String, Tone)>>,
}

impl Grid {
    pub(super) fn new(titles: Vec<&'static str>) -> Self {
        Self { titles, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: Vec<(String, Tone)>) {
        self.rows.push(cells);
    }

    /// The text, every line with a newline and no space at its end.
    pub(super) fn finish(mut self, whole: bool, view: &View) -> String {
        if !whole {
            self.fit(view.style.width);
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
        let titles = self.titles.iter().map(|title| Cell::new(view.style.paint(Tone::Dim, title)));
        table.set_header(titles);
        for row in &self.rows {
            table.add_row(row.iter().map(|(text, tone)| Cell::new(view.style.paint(*tone, text))));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// Cuts the last column, then the first, to what the line holds.
    fn fit(&mut self, width: usize) {
        let Some(last) = self.titles.len().checked_sub(1) else { return };
        let used: usize = (0..last).map(|column| self.width(column) + 2).sum();
        let room = width.saturating_sub(used);
        if room >= self.titles[last].len().max(6) || last == 0 {
            self.cut_column(last, room.max(1));
            return;
        }
        self.titles.pop();
        self.rows.iter_mut().for_each(|row| {
            row.pop();
        });
        let used: usize = (1..last).map(|column| self.width(column) + 2).sum();
        self.cut_column(0, width.saturating_sub(used + 2).max(4));
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| width_of(&row[column].0));
        cells.max().unwrap_or(0).max(self.titles[column].len())
    }

    fn cut_column(&mut self, column: usize, width: usize) {
        for row in &mut self.rows {
            row[column].0 = cut(&row[column].0, width);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures::{records, seen, view};

    #[test]
    fn those_who_need_a_human_come_first_then_those_that_wait() {
        let plan = seen();
        let names: Vec<&str> = by_urgency(&plan).iter().map(|entry| entry.name.as_str()).collect();
        let expected = [
            "etl",
            "infra",
            "gpu",
            "docs-bot",
            "api",
            "web",
            "fix-421",
            "old-spike",
            "parser",
            "quiet",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_table_leaves_out_columns_where_it_is_narrow() {
        let table = |width| sessions(&seen(), &records(), false, &view(width));
        insta::assert_snapshot!("table_120", table(120));
        insta::assert_snapshot!("table_80", table(80));
        insta::assert_snapshot!("table_40", table(40));
    }

    #[test]
    fn no_row_is_wider_than_the_terminal() {
        for width in 20..130 {
            for line in sessions(&seen(), &records(), false, &view(width)).lines() {
                assert!(width_of(line) <= width, "{} > {width}: {line}", width_of(line));
            }
        }
    }

    #[test]
    fn a_wide_table_cuts_nothing() {
        let table = sessions(&seen(), &records(), true, &view(40));
        assert!(table.contains("5c1e8f0a-1111-4222-8333-444455556666"), "{table}");
        assert!(table.contains("archive: fleetctl rm etl --archive"), "{table}");
    }

    #[test]
    fn colour_does_not_move_a_column() {
        let mut colored = view(100);
        colored.style.color = true;
        let colored = sessions(&seen(), &records(), false, &colored);
        assert!(colored.contains('\u{1b}'));
        let plain: String = anstream::adapter::strip_str(&colored)
            .to_string()
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect();
        assert_eq!(plain, sessions(&seen(), &records(), false, &view(100)));
    }
}
