"""How dates and times are written, where Django's own way leaves a doubt."""
