import Glibc
import TestSupport
import Testing
import UVLoop

@testable import SOCKS5Server

/// What systemd's variables say of the sockets that a process is started with.
@Suite struct InheritedSocketTests {
    private static func sockets(_ variables: [String: String]) -> InheritedSockets {
        InheritedSockets(process: 42) { variables[$0] }
    }

    @Test func socketsHaveTheNamesOfTheirPlaces() {
        let sockets = Self.sockets(["LISTEN_PID": "42", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "a:b:a"])
        #expect(sockets.descriptors(named: "a") == [3, 5])
        #expect(sockets.descriptors(named: "b") == [4])
        #expect(sockets.descriptors(named: "c").isEmpty)
        #expect(sockets.absence(of: "c") == "there is 'a', 'b'")
    }

    @Test func socketsWithoutNamesAreUnknown() {
        let sockets = Self.sockets(["LISTEN_PID": "42", "LISTEN_FDS": "2"])
        #expect(sockets.descriptors(named: "unknown") == [3, 4])
        let half = Self.sockets(["LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": ":b"])
        #expect(half.descriptors(named: "unknown") == [3])
    }

    @Test(arguments: [
        ([:], "LISTEN_FDS is not set"),
        (["LISTEN_PID": "42"], "LISTEN_FDS is not set"),
        (["LISTEN_FDS": "1"], "LISTEN_PID is not set, and this process is 42"),
        (["LISTEN_FDS": "1", "LISTEN_PID": "41"], "LISTEN_PID is '41', and this process is 42"),
        (["LISTEN_FDS": "1", "LISTEN_PID": "x"], "LISTEN_PID is 'x', and this process is 42"),
        (["LISTEN_FDS": "0", "LISTEN_PID": "42"], "LISTEN_FDS is '0'; expected 1 to 1024"),
        (["LISTEN_FDS": "-1", "LISTEN_PID": "42"], "LISTEN_FDS is '-1'; expected 1 to 1024"),
        (["LISTEN_FDS": "1025", "LISTEN_PID": "42"], "LISTEN_FDS is '1025'; expected 1 to 1024"),
        (
            ["LISTEN_FDS": "99999999999999999999", "LISTEN_PID": "42"],
            "LISTEN_FDS is '99999999999999999999'; expected 1 to 1024"
        ),
        (
            ["LISTEN_FDS": "2", "LISTEN_PID": "42", "LISTEN_FDNAMES": "a"],
            "LISTEN_FDNAMES has 1 names for 2 sockets"
        ),
    ])
    func variablesForAnotherProcessGiveNoSockets(_ variables: [String: String], _ reason: String) {
        let sockets = Self.sockets(variables)
        #expect(sockets.descriptors(named: "a").isEmpty && sockets.descriptors(named: "unknown").isEmpty)
        #expect(sockets.absence(of: "a") == reason)
    }

    @Test func descriptorsThatCantBeListenedOnAreDistinguished() throws {
        func trouble(_ descriptor: Int32) -> UVError? {
            do throws(UVError) {
                _ = try ListeningSocket(adopting: descriptor, isKept: true)
                return nil
            } catch {
                return error
            }
        }
        let listener = try TestListener()
        defer { listener.close() }
        let datagrams = try TestDatagramSocket()
        defer { datagrams.close() }
        let connected = try TestSocket(connectingTo: listener.port)
        defer { connected.close() }
        let file = open("/dev/null", O_RDONLY)
        defer { close(file) }
        #expect(trouble(listener.descriptor) == nil)
        #expect(trouble(datagrams.descriptor) == .wrongType)
        #expect(trouble(connected.descriptor) == .invalidArgument)
        #expect(trouble(file) == .notASocket)
        #expect(trouble(-1) == .badDescriptor)
    }
}
