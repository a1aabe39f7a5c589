import streamlit as st
st.title('Tune β')
