"""The command line: ``cxr-noise`` with a file for each verb, and the options of the sweeps.

A verb is one line of :data:`~cxr_noise_transforms.study.command.main.VERBS` and one file of its
name with ``main(arguments) -> status``. It reads its arguments before it imports what is heavy.
"""
