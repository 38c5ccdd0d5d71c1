"""What chance alone does to an average precision: computed where that is feasible, drawn on request.

Belongs here: the distribution of one average precision (``null_distribution``) and of the mean of several
(``class_null``) when every order of a list is equally likely, with what they are computed by; and the same by random
lists (``monte_carlo``). Does not belong here: where lists come from (``science.retrieval``), what is made of p
(``science.class_scores``).
"""
