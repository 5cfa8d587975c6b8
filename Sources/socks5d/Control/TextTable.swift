internal import Text

/// Rows in columns, for a terminal. Bytes from the wire are escaped: they can't move the cursor, change the direction
/// of text or add a line.
struct TextTable {
    struct Column {
        let title: String
        var isRight = false
        /// Longer texts are shortened.
        var longest = 40
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    init(_ columns: [Column]) {
        self.columns = columns
    }

    mutating func append(_ cells: [String]) {
        rows.append(
            zip(cells, columns).map { cell, column in Self.cut(cell.printable, to: column.longest) }
        )
    }

    /// The titles come first; lines have no trailing spaces.
    var lines: [String] {
        let all = [columns.map(\.title)] + rows
        let widths = columns.indices.map { index in all.map { $0[index].utf8.count }.max() ?? 0 }
        return all.map { cells in
            let line = cells.indices.map { index in
                let blanks = String(repeating: " ", count: widths[index] - cells[index].utf8.count)
                return columns[index].isRight ? blanks + cells[index] : cells[index] + blanks
            }.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }

    static func cut(_ text: String, to length: Int) -> String {
        text.utf8.count <= length ? text : String(text.prefix(max(0, length - 1))) + "~"
    }
}
