// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "Benchmarks",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        .target(name: "CWire"),
        .executableTarget(name: "CEcho", dependencies: ["CWire"]),
        .executableTarget(name: "CNames", dependencies: ["CWire"]),
        .executableTarget(name: "LoadGenerator", dependencies: ["CWire"]),
        .target(name: "CCores"),
        .target(name: "CNamespace"),
        .executableTarget(
            name: "ProxyBench",
            dependencies: [
                "CCores", "CNamespace",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
    ]
)
