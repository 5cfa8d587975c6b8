extension String {
    /// The text with everything but printable ASCII escaped, and with quotes and backslashes escaped too. It can stand
    /// between quotes, and can't add a line to a log.
    package var escapedForOneLine: String {
        unicodeScalars.reduce(into: "") { $0 += $1.escaped(asASCII: true) }
    }

    /// As ``escapedForOneLine``, for a value between double quotes: an apostrophe stays as it is.
    package var escapedForDoubleQuotes: String {
        unicodeScalars.reduce(into: "") { $0 += $1 == "'" ? "'" : $1.escaped(asASCII: true) }
    }

    /// The text with everything but printable ASCII escaped: it stays on one line, and can't forge another.
    ///
    /// For whole lines. Parts that were escaped before stay as they are.
    package var printable: String {
        unicodeScalars.reduce(into: "") { text, scalar in
            if (0x20...0x7e).contains(scalar.value) {
                text.unicodeScalars.append(scalar)
            } else {
                text += scalar.escaped(asASCII: true)
            }
        }
    }
}
