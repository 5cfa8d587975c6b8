internal import CUV
internal import Glibc

/// An error code of libuv: `-errno`, or one of libuv's own below -3000.
///
/// Compare codes, never texts.
package struct UVError: Error, Hashable, CustomStringConvertible {
    package let code: Int32

    package init(code: Int32) {
        self.code = code
    }

    /// libuv's name of the code, such as `ECONNREFUSED`.
    package var description: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            guard let base = buffer.baseAddress else { return "" }
            cuv_error_name(code, base, buffer.count)
            return String(cString: base)
        }
    }

    package static let addressInUse = UVError(code: -EADDRINUSE)
    package static let addressNotAvailable = UVError(code: -EADDRNOTAVAIL)
    package static let addressFamilyNotSupported = UVError(code: -EAFNOSUPPORT)
    package static let alreadyExists = UVError(code: -EEXIST)
    package static let badDescriptor = UVError(code: -EBADF)
    package static let connectionRefused = UVError(code: -ECONNREFUSED)
    package static let connectionReset = UVError(code: -ECONNRESET)
    package static let hostDown = UVError(code: -EHOSTDOWN)
    package static let hostUnreachable = UVError(code: -EHOSTUNREACH)
    package static let invalidArgument = UVError(code: -EINVAL)
    package static let messageTooLong = UVError(code: -EMSGSIZE)
    package static let nameTooLong = UVError(code: -ENAMETOOLONG)
    package static let networkDown = UVError(code: -ENETDOWN)
    package static let networkUnreachable = UVError(code: -ENETUNREACH)
    package static let noBuffers = UVError(code: -ENOBUFS)
    package static let noSuchFile = UVError(code: -ENOENT)
    package static let noDevice = UVError(code: -ENODEV)
    package static let notPermitted = UVError(code: -EPERM)
    package static let notASocket = UVError(code: -ENOTSOCK)
    package static let outOfMemory = UVError(code: -ENOMEM)
    package static let permissionDenied = UVError(code: -EACCES)
    package static let protocolError = UVError(code: -EPROTO)
    package static let readOnlyFileSystem = UVError(code: -EROFS)
    package static let tooManyFiles = UVError(code: -EMFILE)
    package static let tooManyFilesInSystem = UVError(code: -ENFILE)
    package static let tryAgain = UVError(code: -EAGAIN)
    package static let wrongType = UVError(code: -EPROTOTYPE)
    package static let timedOut = UVError(code: -ETIMEDOUT)

    package static let lookupFamilyUnavailable = UVError(code: Int32(CUV_EAI_ADDRFAMILY))
    package static let lookupTemporaryFailure = UVError(code: Int32(CUV_EAI_AGAIN))
    package static let lookupFailed = UVError(code: Int32(CUV_EAI_FAIL))
    package static let lookupFamilyNotSupported = UVError(code: Int32(CUV_EAI_FAMILY))
    package static let lookupOutOfMemory = UVError(code: Int32(CUV_EAI_MEMORY))
    package static let nameHasNoAddress = UVError(code: Int32(CUV_EAI_NODATA))
    package static let nameNotFound = UVError(code: Int32(CUV_EAI_NONAME))

    /// Throws if a call of libuv has returned an error.
    @discardableResult
    static func check(_ result: Int32) throws(UVError) -> Int32 {
        guard result >= 0 else { throw UVError(code: result) }
        return result
    }
}

/// The version of libuv at run time, such as `1.44.2`.
package var libuvVersion: String { String(cString: cuv_version()) }
