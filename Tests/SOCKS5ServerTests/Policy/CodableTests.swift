import Foundation
import ProxyPolicy
import SOCKS5Protocol
import Testing

/// For an embedder's own files, as text.
@Suite struct CodableTests {
    private struct Entry: Codable, Equatable {
        var address: IPAddress
        var network: IPNetwork
    }

    @Test func addressesAndNetworksAreTextInAFile() throws {
        let text = #"{"address":"2001:db8::1","network":"10.0.0.0\/8"}"#
        let entry = Entry(
            address: try #require(IPAddress("2001:db8::1")),
            network: try IPNetwork(parsing: "10.0.0.0/8")
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        #expect(String(decoding: try encoder.encode(entry), as: UTF8.self) == text)
        #expect(try JSONDecoder().decode(Entry.self, from: Data(text.utf8)) == entry)
    }

    @Test(arguments: [
        #"{"address":"10.0.0","network":"10.0.0.0/8"}"#, #"{"address":"::1","network":"10.0.0.1/8"}"#,
        #"{"address":7,"network":"10.0.0.0/8"}"#,
    ])
    func otherTextIsAnErrorOfTheDecoder(_ text: String) {
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(Entry.self, from: Data(text.utf8)) }
    }
}
