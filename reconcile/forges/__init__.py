"""
Where pull and merge requests are: the comments there, made, found again and updated.

In: the environment of a pipeline, and Markdown. Out: one comment a name, ours. A forge is known by its own variables;
whose the token is tells which comments are ours.
"""

from reconcile.forges.comments import Comment, Forge, digest_in, posted
from reconcile.forges.github import GitHub
from reconcile.forges.gitlab import GitLab

__all__ = ["Comment", "Forge", "GitHub", "GitLab", "digest_in", "posted"]
