// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "socks5d",
    products: [
        .library(name: "SOCKS5Server", targets: ["SOCKS5Server"]),
        .library(name: "SOCKS5Admin", targets: ["SOCKS5Admin"]),
        .library(name: "SOCKS5Protocol", targets: ["SOCKS5Protocol"]),
        .executable(name: "socks5d", targets: ["socks5d"]),
    ],
    // Optional features, each of which needs a further library: `swift build --traits TLS`.
    traits: [
        .trait(name: "TLS", description: "TLS of listeners and to parents, by OpenSSL 3."),
        .trait(name: "GSSAPI", description: "Logins and protection by Kerberos (RFC 1961)."),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibUV",
            pkgConfig: "libuv",
            providers: [.apt(["libuv1-dev"]), .brew(["libuv"])]
        ),
        .systemLibrary(
            name: "CCrypt",
            pkgConfig: "libxcrypt",
            providers: [.apt(["libcrypt-dev"]), .brew(["libxcrypt"])]
        ),
        .systemLibrary(
            name: "CYAML",
            pkgConfig: "yaml-0.1",
            providers: [.apt(["libyaml-dev"]), .brew(["libyaml"])]
        ),
        // Debian's pkg-config file has flags that the package manager refuses: the module map names the library.
        .systemLibrary(
            name: "CKerberos",
            providers: [.apt(["libkrb5-dev"]), .brew(["krb5"])]
        ),
        // Debian has no pkg-config file for it: the module map names the library.
        .systemLibrary(
            name: "CHTTPParser",
            providers: [.apt(["libhttp-parser-dev"]), .brew(["http-parser"])]
        ),
        .systemLibrary(
            name: "COpenSSL",
            pkgConfig: "openssl",
            providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]
        ),
        .target(name: "CUV", dependencies: ["CLibUV"]),
        .target(name: "Locks", swiftSettings: strict),
        .target(name: "Tables", swiftSettings: strict),
        .target(name: "Text", swiftSettings: strict),
        .target(name: "UVLoop", dependencies: ["CUV", "Locks"], swiftSettings: strict),
        // Empty without the trait, since a package builds all of its targets.
        .target(
            name: "CTLS",
            dependencies: [.target(name: "COpenSSL", condition: .when(traits: ["TLS"]))],
            cSettings: [.define("CTLS_ENABLED", .when(traits: ["TLS"]))]
        ),
        .target(name: "SOCKS5TLS", dependencies: ["CTLS", "Locks", "UVLoop"], swiftSettings: strict),
        .target(name: "SOCKS5Protocol", swiftSettings: strict + [.strictMemorySafety()]),
        .target(
            name: "ProxyPolicy",
            dependencies: ["CCrypt", "Locks", "SOCKS5Protocol", "Tables", "Text"],
            swiftSettings: strict
        ),
        // Empty without the trait, since a package builds all of its targets.
        .target(
            name: "SOCKS5GSSAPI",
            dependencies: [
                "Locks", "SOCKS5Protocol", "UVLoop",
                .target(name: "CKerberos", condition: .when(traits: ["GSSAPI"])),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "SOCKS5Server",
            dependencies: [
                "Locks", "ProxyPolicy", "SOCKS5Protocol", "Tables", "Text", "UVLoop",
                .target(name: "SOCKS5TLS", condition: .when(traits: ["TLS"])),
                .target(name: "SOCKS5GSSAPI", condition: .when(traits: ["GSSAPI"])),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .target(name: "CPage", exclude: ["page.html"]),
        .target(
            name: "SOCKS5Admin",
            dependencies: [
                "CHTTPParser", "CPage", "Locks", "ProxyPolicy", "SOCKS5Protocol", "SOCKS5Server", "Text",
                "UVLoop",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .target(name: "CProcess"),
        .target(name: "CSandbox"),
        .executableTarget(
            name: "socks5d",
            dependencies: [
                "CProcess", "CSandbox", "CYAML", "Locks", "ProxyPolicy", "SOCKS5Admin", "SOCKS5Protocol",
                "SOCKS5Server", "Text",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .target(name: "CTestSupport", dependencies: ["CSandbox"], path: "Tests/CTestSupport"),
        .target(
            name: "TestSupport",
            dependencies: ["CTestSupport", "Locks", "SOCKS5Protocol", "SOCKS5Server", "UVLoop"],
            path: "Tests/TestSupport"
        ),
        .target(name: "FuzzTargets", dependencies: ["SOCKS5Protocol"], path: "Tests/Fuzz/Targets"),
        .testTarget(
            name: "SOCKS5ProtocolTests",
            dependencies: ["SOCKS5Protocol", "FuzzTargets", "TestSupport"]
        ),
        .testTarget(name: "TextTests", dependencies: ["Text", "TestSupport"]),
        .testTarget(name: "SOCKS5TLSTests", dependencies: ["Locks", "SOCKS5TLS", "TestSupport", "UVLoop"]),
        .testTarget(name: "UVLoopTests", dependencies: ["UVLoop", "SOCKS5Protocol", "TestSupport"]),
        .testTarget(
            name: "SOCKS5ServerTests",
            dependencies: [
                "Locks", "ProxyPolicy", "SOCKS5Server", "SOCKS5Protocol", "Tables", "UVLoop", "TestSupport",
            ]
        ),
        .testTarget(
            name: "SOCKS5AdminTests",
            dependencies: [
                "Locks", "SOCKS5Admin", "SOCKS5Protocol", "SOCKS5Server", "TestSupport", "Text", "UVLoop",
            ]
        ),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "socks5d", "CTestSupport", "Locks", "ProxyPolicy", "SOCKS5Admin", "SOCKS5Protocol",
                "SOCKS5Server", "TestSupport", "Text",
            ]
        ),
        .testTarget(
            name: "EndToEndTests",
            dependencies: ["socks5d", "TestSupport", "UVLoop"],
            path: "Tests/EndToEnd"
        ),
        .testTarget(name: "NetworkTests", dependencies: ["socks5d", "SOCKS5Protocol", "TestSupport"]),
    ]
)

// Links only where everything is compiled with -sanitize=fuzzer: scripts/fuzz asks for it.
if Context.environment["SOCKS5D_FUZZ"] != nil {
    package.targets += [
        .systemLibrary(name: "CLibFuzzer", path: "Tests/Fuzz/CLibFuzzer"),
        .executableTarget(
            name: "Fuzz",
            dependencies: ["CLibFuzzer", "FuzzTargets"],
            path: "Tests/Fuzz/Fuzz"
        ),
    ]
}

// What single parts cost: `make bench-micro` asks for it.
if Context.environment["SOCKS5D_MICROBENCH"] != nil {
    package.dependencies += [
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: [])
    ]
    package.targets += [
        .executableTarget(
            name: "MicroBench",
            dependencies: [
                .product(name: "Benchmark", package: "benchmark"), "ProxyPolicy", "SOCKS5Protocol",
                "SOCKS5Server", "UVLoop",
            ],
            path: "Benchmarks/MicroBench",
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
        )
    ]
}
