"""What a person got wrong on the command line itself: exit code 2, like a misspelt option."""

from __future__ import annotations

from clew.kernel.errors import BadInput


class WrongUsage(BadInput):
    """An argument or option that cannot be meant."""


class FileMissing(WrongUsage):
    """A file named on the command line is not there."""

    code = "FILE_MISSING"
    en, zh = "There is no file {file}.", "没有文件 {file}。"


class FolderMissing(WrongUsage):
    """The folder a file should be written to is not there."""

    code = "FOLDER_MISSING"
    en, zh = "There is no folder {folder}.", "没有目录 {folder}。"


class UnknownFormat(WrongUsage):
    """The file's ending does not say a format that can be written."""

    code = "UNKNOWN_FORMAT"
    en, zh = "{file} should end in {formats}.", "{file} 应以 {formats} 结尾。"
