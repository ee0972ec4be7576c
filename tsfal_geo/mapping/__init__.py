"""Wall-to-wall prediction of scenes."""
