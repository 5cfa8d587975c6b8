extension String {
    /// The text with everything but printable ASCII escaped, quotes and backslashes too: it can stand between quotes,
    /// and can't forge a line of its own.
    package var escapedForOneLine: String {
        unicodeScalars.reduce(into: "") { $0 += $1.escaped(asASCII: true) }
    }

    /// The text with everything but printable ASCII escaped: one line, and no forged one.
    ///
    /// For whole lines. A part of it that was escaped before stays as it is.
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
