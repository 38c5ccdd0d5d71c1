"""The errors of the S3 protocol: code, HTTP status and message, as AWS sends them.

Belongs here: the table of codes and the one exception that carries a code. Does not belong here: how an error is
written (``xml_answers``), or errors that users of the platform see (``cpjump_assets.science.errors``).
"""

STATUS_AND_MESSAGE: dict[str, tuple[int, str]] = {
    "AccessDenied": (403, "Access Denied"),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidArgument": (400, "Invalid Argument"),
    "InvalidBucketName": (400, "The specified bucket is not valid."),
    "InvalidPartNumber": (416, "The requested partnumber is not satisfiable"),
    "InvalidRange": (416, "The requested range is not satisfiable"),
    "InvalidRequest": (400, "Invalid Request"),
    "InvalidURI": (400, "Couldn't parse the specified URI."),
    "KeyTooLongError": (400, "Your key is too long"),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NotImplemented": (501, "A header you provided implies functionality that is not implemented"),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold"),
    "SlowDown": (503, "Please reduce your request rate."),
}


class S3Error(Exception):
    """A request is refused with an S3 error code.

    Parameters
    ----------
    code
        One of ``STATUS_AND_MESSAGE``.
    message
        What to say instead of the message of the table.
    details
        Further elements of the XML answer, such as ``Key="a/b"``.

    Attributes
    ----------
    status
        HTTP status.
    headers
        Headers that HTTP wants with this error.
    """

    def __init__(self, code: str, message: str | None = None, **details: str):
        self.code = code
        self.status, standard_message = STATUS_AND_MESSAGE[code]
        self.message = message or standard_message
        self.details = details
        self.headers = {"Allow": "GET, HEAD"} if code == "MethodNotAllowed" else {}
        super().__init__(f"{code}: {self.message}")
