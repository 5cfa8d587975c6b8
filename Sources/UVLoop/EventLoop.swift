internal import CUV

/// The version of libuv in use, as `1.44.2`.
package var libuvVersion: String { String(cString: cuv_version()) }
