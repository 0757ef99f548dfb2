"""What Cordboard costs: `python -m bench`; single parts: `python bench/sip_stack.py` and its neighbours."""
