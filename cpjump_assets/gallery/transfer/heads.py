"""What HEAD tells of an object, beside its listing: the version that it has now, and how it was uploaded.

Belongs here: these two questions. Does not belong here: bodies (``reader``), what the answers are used for
(``download``, ``proof``).
"""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from cpjump_assets.gallery.failures import clear_errors, endpoint_name, status
from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.science.errors import GalleryError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def version_now(client: "S3Client", bucket: str, key: str) -> GalleryObject:
    """Look up the version that an object has now.

    Raises
    ------
    AbsentObjectError
        If there is no such object.
    GalleryError
        If the server does not tell.
    """
    what = f"s3://{bucket}/{key}"
    with clear_errors(client, what):
        head = client.head_object(Bucket=bucket, Key=key)
    try:
        return GalleryObject(
            key=key, size=head["ContentLength"], etag=head["ETag"].strip('"'), last_modified=head["LastModified"]
        )
    except KeyError as error:
        raise GalleryError(f"{what} cannot be read: {endpoint_name(client)} does not tell its {error}") from error


def size_of_first_part(client: "S3Client", bucket: str, key: str) -> int | None:
    """Ask for the bytes of part 1 of an upload; None where the server does not know parts.

    A server that does not know the question answers with the size of the whole object.

    Raises
    ------
    AbsentObjectError
        If there is no such object.
    GalleryError
        If the server refuses the answer.
    """
    with clear_errors(client, f"s3://{bucket}/{key}"):
        try:
            return client.head_object(Bucket=bucket, Key=key, PartNumber=1)["ContentLength"]
        except ClientError as error:
            if status(error) in (400, 416, 501):  # how servers without parts refuse the question
                return None
            raise
