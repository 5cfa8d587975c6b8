import Testing

@testable import Text

@Suite struct TimestampTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_001, "2000-02-29T00:00:00.001Z"), (1_769_860_800_090, "2026-01-31T12:00:00.090Z"),
        (-1, "1969-12-31T23:59:59.999Z"), (-1000, "1969-12-31T23:59:59.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ])
    func aMomentIsWrittenAsRFC3339Says(_ milliseconds: Int64, _ text: String) {
        #expect(Timestamp(milliseconds: milliseconds).description == text)
    }

    @Test func oneWriterFollowsTheClockForwardAndBack() {
        var writer = TimestampWriter()
        for milliseconds: Int64 in [1000, 1999, 2000, 1500, 86_400_000, 1000] {
            var bytes: [UInt8] = []
            writer.append(Timestamp(milliseconds: milliseconds), to: &bytes)
            #expect(
                String(decoding: bytes, as: UTF8.self) == Timestamp(milliseconds: milliseconds).description
            )
        }
    }
}
